using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>Tests, failovers and commits: it ends as if nobody had died, and nothing is left that no list shows.</summary>
public sealed class EveryDeathTests(ITestOutputHelper output) : EveryDeath(output)
{
    [Fact]
    public Task A_test_is_started_and_completed_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Source.PointAsync(site.Host.Sink);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.StartTestAsync(ModelSite.Test(point), default).AsTask());
        Assert.True(Assert.Single(site.Machine.Domains).Value.Live is not null, "the test VM does not run");
        died |= await OrderAsync(site, host => host.CompleteTestAsync(ModelSite.Test(point).Id, "fine", default).AsTask());
        await AssertOnlyReplicaAsync(site);
        return died;
    });

    [Fact]
    public Task A_failover_is_started_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Source.PointAsync(site.Host.Sink);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.StartFailoverAsync(ModelSite.Failover(point), default).AsTask());
        FailoverRecord failover = site.Host.Status.Failover!;
        Assert.Equal(FailoverStep.Running, failover.Step);
        Assert.Equal(failover.Line, site.Host.Status.Replica!.Line);
        Assert.NotNull(site.Machine.Domains[SourceFeed.Vm].Live);
        Assert.All(failover.Disks, disk => Assert.Equal([failover.Bitmap], site.Machine.Image(disk.Overlay).Bitmaps));
        Assert.Equal(2, site.Machine.Images.Keys.Count(path => path.Contains("failover-", StringComparison.Ordinal)));
        return died;
    });

    [Fact]
    public Task A_commit_ends_on_one_image_a_disk_whatever_dies_while_the_guest_writes() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, async host => Assert.Null((await host.CommitAsync(default)).Pending));
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vdb", 2, 0x22);

        byte[][] expected = [.. site.Source.Content[point].Select(disk => (byte[])disk.Clone())];
        expected[0].AsSpan(SourceFeed.BlockBytes, SourceFeed.BlockBytes).Fill(0x11);
        expected[1].AsSpan(2 * SourceFeed.BlockBytes, SourceFeed.BlockBytes).Fill(0x22);
        Assert.Equal(expected[0], site.BaseContent(0));
        Assert.Equal(expected[1], site.BaseContent(1));
        Assert.Equal(["/pool/web1/vda-0.qcow2", "/pool/web1/vdb-1.qcow2"], site.Machine.Images.Keys);
        Assert.Empty(site.Machine.DaemonNames());
        Assert.Single(site.Machine.Domains[SourceFeed.Vm].Checkpoints);

        died |= await UnprotectAsync(site);
        Assert.Empty(site.Machine.Domains[SourceFeed.Vm].Checkpoints);
        Assert.NotNull(site.Machine.Domains[SourceFeed.Vm].Live);
        Assert.Equal(["/pool/web1/vda-0.qcow2", "/pool/web1/vdb-1.qcow2"], site.Machine.Images.Keys); // the VM's own disks
        Assert.All(site.Machine.Images.Values, image => Assert.Empty(image.Bitmaps));
        Assert.Equal(expected[0], site.BaseContent(0));
        Assert.Equal(expected[1], site.BaseContent(1));
        Assert.Empty(await FilesAsync(site.State));
        Assert.Empty(await FilesAsync(site.Journal));
        return died;
    });

    /// <summary>After the commit the VM and its folder are their owner's: what he has put there is named when the protection ends, and stays.</summary>
    [Fact]
    public Task What_the_owner_has_put_beside_the_disks_stays_when_the_protection_ends_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        Assert.Null((await site.Host.CommitAsync(default)).Pending);
        site.Machine.Images["/pool/web1/data-7.qcow2"] = new ModelImage(site.Machine.Image("/pool/web1/vda-0.qcow2").SizeBytes, backing: null);

        bool died = await BeginAsync(site, life);
        died |= await UnprotectAsync(site);

        Assert.Equal(["/pool/web1/data-7.qcow2", "/pool/web1/vda-0.qcow2", "/pool/web1/vdb-1.qcow2"], site.Machine.Images.Keys);
        Assert.NotNull(site.Machine.Domains[SourceFeed.Vm].Live);
        return died;
    });

    [Fact]
    public Task A_guest_whose_read_of_a_view_failed_while_its_disks_moved_runs_after_the_commit_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        site.Hypervisor.Copied = domain => domain.HasReadError = true; // The daemon had died; on its copy it can read again.
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, async host => Assert.Null((await host.CommitAsync(default)).Pending));

        Assert.Equal(VmRunState.Running, await site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
        return died;
    });

    /// <summary>The end was ordered with the VM at its source, by somebody who had not heard of the failover: nothing goes.</summary>
    [Fact]
    public async Task A_protection_does_not_end_at_its_source_where_the_VM_was_committed_here()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        Assert.Null((await site.Host.CommitAsync(default)).Pending);
        await site.EndLoopsAsync();
        string[] images = [.. site.Machine.Images.Keys];

        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => site.Host.UnprotectAsync(withBranches: false, atSource: true, default).AsTask());

        Assert.Equal(RefusalCode.AlreadyCommitted, refused.Code);
        Assert.Equal(images, site.Machine.Images.Keys);
        Assert.Equal(FailoverStep.Committed, site.Host.Status.Failover!.Step);
        Assert.True((await site.Host.UnprotectAsync(withBranches: false, atSource: false, default)).VmStays);
        Assert.NotNull(site.Machine.Domains[SourceFeed.Vm].Live);
    }

    /// <summary>Ends protection; the loops have ended before, as the host's owner does it.</summary>
    private static async Task<bool> UnprotectAsync(ModelSite site)
    {
        await site.EndLoopsAsync();
        try
        {
            await site.Host.UnprotectAsync(withBranches: false, atSource: false, default);
            return false;
        }
        catch (AgentDiedException)
        {
            if (await site.NextAgentAsync(Life.Forever()))
            {
                await site.EndLoopsAsync();
                await site.Host.UnprotectAsync(withBranches: false, atSource: false, default); // It died before it had noted the order.
            }

            return true;
        }
    }

    private static async Task AssertOnlyReplicaAsync(ModelSite site)
    {
        Assert.Empty(site.Machine.Domains);
        Assert.Empty(site.Machine.Networks);
        Assert.All(site.Machine.Images.Keys, image => Assert.DoesNotContain("test", image, StringComparison.Ordinal));
        Assert.DoesNotContain(site.Machine.DaemonNames(), daemon => daemon.StartsWith("run-", StringComparison.Ordinal));
        Assert.Empty(site.Host.Status.Replica!.Pins);
        Assert.Empty(site.Host.Status.Tests);
        Assert.Empty(await site.State.ListAsync("tests", default));
    }

    private static async Task<string[]> FilesAsync(IFileStore store)
    {
        List<string> files = [];
        foreach (string folder in (string[])["", "tests", "journal", "pins", "kept", "divergence", "base"])
        {
            files.AddRange((await store.ListAsync(folder, default)).Select(entry => entry.Name));
        }

        return [.. files];
    }
}
