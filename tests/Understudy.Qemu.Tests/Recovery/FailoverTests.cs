using System.Diagnostics;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Runs;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>FO-2, FO-4, FO-5 and REG-6 with real QEMU, libvirt and storage daemons.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class FailoverTests(PrivateHost libvirtHost, ITestOutputHelper output) : IAsyncLifetime
{
    private RecoverySite _site = null!; // Set before each test.

    public async ValueTask InitializeAsync() => _site = await RecoverySite.CreateAsync(libvirtHost);

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task A_failover_to_an_older_point_is_committed_under_a_writing_guest_and_ends_on_one_image_a_disk()
    {
        await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);

        long began = Stopwatch.GetTimestamp();
        FailoverStarted started = await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default);
        output.WriteLine($"command to QEMU running: {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms");
        Assert.Equal(2u, started.Line.Counter);
        Assert.Equal(started.Line, _site.Host.Status.Replica!.Line);

        WritingGuest guest = new(_site, SourceFeed.Vm, _site.Source.Content[point]);
        using CancellationTokenSource stop = new();
        Task writing = guest.RunAsync(stop.Token);
        began = Stopwatch.GetTimestamp();
        CommitOutcome committed = await _site.Host.CommitAsync(default);
        output.WriteLine($"commit: {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms, {guest.Writes} guest writes meanwhile");
        await stop.CancelAsync();
        await writing;
        Assert.Null(committed.Pending);
        Assert.True(guest.Writes > 5);
        await AssertCommittedAsync(guest);
        Assert.Contains(await _site.Hypervisor.ListCheckpointsAsync(SourceFeed.Vm, default), name => name == _site.Host.Status.Failover!.Bitmap);

        await _site.StopAgentAsync();
        RemovedThings removed = await _site.Host.UnprotectAsync(withBranches: false, atSource: false, default);
        Assert.Contains(removed.Kept, kept => kept.Contains("web1", StringComparison.Ordinal));
        await AssertNothingOfOursAsync();
        await AssertDisksAsync(guest);
    }

    /// <summary>As after a crash between the last merge and the checkpoint: libvirt knows of none, and QEMU has found the bitmap in use.</summary>
    [Fact]
    public async Task A_bitmap_that_no_checkpoint_stands_for_leaves_the_running_VMs_images_with_the_protection()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default);
        Assert.Null((await _site.Host.CommitAsync(default)).Pending);
        string bitmap = _site.Host.Status.Failover!.Bitmap;
        await _site.Hypervisor.DestroyAsync(SourceFeed.Vm, default); // In order: the bitmap is stored.
        await _site.Hypervisor.StartAsync(SourceFeed.Vm, default);
        await QemuFolder.Run("virsh", "-c", libvirtHost.Uri, "checkpoint-delete", "web1", bitmap, "--metadata");
        await QemuFolder.Kill(libvirtHost.PidOf("web1"));
        await RunStateIsAsync(VmRunState.Off);
        await _site.Hypervisor.StartAsync(SourceFeed.Vm, default);
        Assert.Contains(bitmap, await QemuFolder.Run("qemu-img", "info", "-U", _site.At("pool/web1/vda-0.qcow2")), StringComparison.Ordinal);

        await _site.StopAgentAsync();
        await _site.Host.UnprotectAsync(withBranches: false, atSource: false, default);
        await AssertNothingOfOursAsync();
    }

    [Fact]
    public async Task The_old_line_is_refused_from_the_moment_of_the_failover_on()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default);
        await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => _site.Source.PointAsync(_site.Host.Sink)); // StaleLine, not Accepted.
        Assert.Equal(point, Assert.Single(_site.Host.Points).Id);
    }

    [Fact]
    public async Task A_test_of_another_point_delays_the_commit_and_is_named_as_the_reason()
    {
        RecoveryPointId tested = await _site.Source.PointAsync(_site.Host.Sink);
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        await _site.Host.StartTestAsync(RecoverySite.Test(tested), default);
        await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default);
        CommitOutcome waiting = await _site.Host.CommitAsync(default);
        Assert.Contains("web1-test", waiting.Pending, StringComparison.Ordinal);
        Assert.Equal(FailoverStep.EndingViews, _site.Host.Status.Failover!.Step);
        string overlay = _site.Host.Status.Tests[0].Disks[0].Overlay;
        Assert.Equal(_site.Source.Content[tested][0], await _site.ReadImageAsync(overlay));

        await _site.Host.CompleteTestAsync(RecoverySite.Test(tested).Id, null, default);
        Assert.Null((await _site.Host.CommitAsync(default)).Pending);
    }

    [Fact]
    public async Task A_network_that_is_not_mapped_refuses_and_leaves_the_replica_as_it_was()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(
            async () => await _site.Host.StartFailoverAsync(RecoverySite.Failover(point) with { Cards = [] }, default));
        Assert.Equal(RefusalCode.NetworkUnmapped, refused.Code);
        await _site.Source.PointAsync(_site.Host.Sink); // The old line still owns the VM.
    }

    [Theory]
    [InlineData("DefineAsync", true, false)]
    [InlineData("DefineAsync", false, false)]
    [InlineData("StartAsync", true, true)]
    [InlineData("StartAsync", false, true)]
    public async Task An_agent_killed_in_a_failover_undoes_it_before_and_finishes_it_after_taking_over(string call, bool before, bool goesOn)
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        await _site.KillAgentAsync();
        await _site.StartAgentAsync(DyingHypervisor.Around(_site.Hypervisor, call, before));
        await Assert.ThrowsAsync<AgentDiedException>(async () => await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default));
        await _site.KillAgentAsync();
        await _site.StartAgentAsync();

        await ReachedAsync(goesOn ? FailoverStep.Running : null);
        Assert.Equal(goesOn ? VmRunState.Running : VmRunState.Absent, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
        Assert.Equal(goesOn ? 4 : 0, _site.PoolFiles().Count(file => !file.StartsWith("vd", StringComparison.Ordinal)) + (goesOn ? 2 : 0));
        await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default); // Ordered again, it stands.
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
    }

    [Theory]
    [InlineData("StartShallowCopyAsync", false)]
    [InlineData("PivotAsync", true)]
    [InlineData("PivotAsync", false)]
    [InlineData("StartActiveCommitAsync", true)]
    [InlineData("StartActiveCommitAsync", false)]
    [InlineData("RedefineCheckpointAsync", true)]
    [InlineData("RedefineCheckpointAsync", false)]
    public async Task An_agent_killed_at_any_call_of_a_commit_is_followed_by_one_that_finishes_it(string call, bool before)
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default);
        WritingGuest guest = new(_site, SourceFeed.Vm, _site.Source.Content[point]);
        using CancellationTokenSource stop = new();
        Task writing = guest.RunAsync(stop.Token);

        await _site.KillAgentAsync();
        await _site.StartAgentAsync(DyingHypervisor.Around(_site.Hypervisor, call, before));
        await Assert.ThrowsAsync<AgentDiedException>(async () => await _site.Host.CommitAsync(default));
        await _site.KillAgentAsync();
        await _site.StartAgentAsync();
        await ReachedAsync(FailoverStep.Committed);
        await stop.CancelAsync();
        await writing;
        await AssertCommittedAsync(guest);
    }

    /// <summary>The agent goes on by itself.</summary>
    private async Task ReachedAsync(FailoverStep? step)
    {
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while (_site.Host.Status.Failover?.Step != step)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    private async Task AssertCommittedAsync(WritingGuest guest)
    {
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
        foreach (DefinitionKind kind in Enum.GetValues<DefinitionKind>())
        {
            string definition = await _site.Hypervisor.GetDefinitionAsync(SourceFeed.Vm, kind, default);
            Assert.All(_site.Host.Status.Failover!.Disks, disk => Assert.Contains($"'{disk.Base}'", definition, StringComparison.Ordinal));
            Assert.DoesNotContain("nbd", definition, StringComparison.Ordinal);
        }

        Assert.Equal(["vda-0.qcow2", "vdb-1.qcow2"], _site.PoolFiles());
        Assert.Empty(await _site.Daemons.ListAsync(default));
        await AssertDisksAsync(guest);
    }

    private async Task AssertDisksAsync(WritingGuest guest)
    {
        foreach ((string file, int disk) in ((string, int)[])[("vda-0.qcow2", 0), ("vdb-1.qcow2", 1)])
        {
            string image = _site.At($"pool/web1/{file}");
            Assert.DoesNotContain("backing file:", await QemuFolder.Run("qemu-img", "info", "-U", image), StringComparison.Ordinal);
            await _site.GuestIoAsync(SourceFeed.Vm, disk, "flush");
            byte[] content = await _site.ReadImageAsync(image);
            int wrong = content.AsSpan().CommonPrefixLength(guest.Disks[disk]);
            Assert.True(wrong == content.Length, $"{file} differs from what the guest wrote at {wrong}, after {guest.Writes} writes");
        }
    }

    private async Task RunStateIsAsync(VmRunState state)
    {
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(20));
        while (await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default) != state)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    private async Task AssertNothingOfOursAsync()
    {
        Assert.Empty(Directory.EnumerateFiles(_site.At("journal"), "*", SearchOption.AllDirectories));
        Assert.Empty(Directory.EnumerateFiles(_site.At("state"), "*", SearchOption.AllDirectories));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_site.At("run")));
        Assert.Empty(Directory.EnumerateFiles(_site.At("daemons")));
        Assert.Empty(await _site.Hypervisor.ListCheckpointsAsync(SourceFeed.Vm, default));
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
        Assert.DoesNotContain("understudy", await QemuFolder.Run("qemu-img", "info", "-U", _site.At("pool/web1/vda-0.qcow2")), StringComparison.Ordinal);
        Assert.DoesNotContain("understudy", await _site.Hypervisor.GetDefinitionAsync(SourceFeed.Vm, DefinitionKind.Inactive, default), StringComparison.Ordinal);
    }
}
