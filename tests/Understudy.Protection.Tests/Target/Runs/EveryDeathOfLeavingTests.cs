using System.Xml.Linq;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Mounts;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>Planned failover, change of the point, cancel, promotion, and commits that branches hold up.</summary>
public sealed class EveryDeathOfLeavingTests(ITestOutputHelper output) : EveryDeath(output)
{
    private static readonly Guid Peer = Guid.Empty; // The source of the model site's replica.
    private static readonly TransferId There = new(new Guid(1, 0, 0, new byte[8]));
    private static readonly TransferId Back = new(new Guid(2, 0, 0, new byte[8]));

    [Fact]
    public Task A_planned_failover_accepts_the_token_whatever_dies_and_can_refuse_it_no_more() => ForEveryDeathAsync(async (site, life) =>
    {
        await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId last = await site.Source.PointAsync(site.Host.Sink);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.StartFailoverAsync(ModelSite.Failover(last) with { Transfer = There }, default).AsTask());
        FailoverRecord failover = site.Host.Status.Failover!;
        OwnershipRecord token = site.Host.Status.Ownership;
        Assert.IsType<OwnershipState.Here>(token.State);
        Assert.Equal((failover.Line, There, last), (token.Line, token.Accepted!.Value, token.Parent!.Value));
        Assert.Equal(failover.Line, site.Host.Status.Replica!.Line);
        Assert.Equal(1, site.Machine.Domains[SourceFeed.Vm].Starts);
        died |= await OrderAsync(site, async host =>
            Assert.Equal(RefusalCode.TransferAccepted, (await Assert.ThrowsAsync<RefusedException>(() => host.RefuseTransferAsync(There, default).AsTask())).Code));
        return died;
    });

    [Fact]
    public Task A_refused_transfer_is_never_accepted_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId last = await site.Source.PointAsync(site.Host.Sink);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.RefuseTransferAsync(There, default).AsTask());
        died |= await OrderAsync(site, async host => Assert.Equal(
            RefusalCode.TransferRefused,
            (await Assert.ThrowsAsync<RefusedException>(() => host.StartFailoverAsync(ModelSite.Failover(last) with { Transfer = There }, default).AsTask())).Code));
        Assert.Empty(site.Machine.Domains);
        Assert.IsType<OwnershipState.Elsewhere>(site.Host.Status.Ownership.State);
        return died || life.IsOver;
    });

    [Fact]
    public Task A_cancel_keeps_what_ran_and_the_source_goes_on_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(older), default);
        Guid run = site.Host.Status.Failover!.Id;
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        bool died = await BeginAsync(site, life);
        FailoverCancelled? answer = null;
        died |= await OrderAsync(site, async host => answer = await host.CancelAsync(new CancelOrder(Back, Peer, BranchDays: 7), default));

        Assert.Empty(site.Machine.Domains);
        Assert.Null(site.Host.Status.Failover);
        Assert.Equal((newest, new BranchId(run)), (answer!.Parent, answer.Branch!.Value));
        Assert.Equal(answer.Line, site.Host.Status.Replica!.Line);
        Assert.Equal([older, newest], site.Host.Points.Select(point => point.Id));
        Assert.Equal(Back, Assert.IsType<OwnershipState.Offered>(site.Host.Status.Ownership.State).Transfer);
        Assert.Equal((answer.Line, Back, newest), (site.Host.CurrentLine.Line, site.Host.CurrentLine.Offer!.Transfer, site.Host.CurrentLine.Offer.Parent));
        BranchRecord branch = Assert.Single(site.Host.Status.Branches).Branch;
        Assert.Equal((BranchKind.CancelledFailover, older), (branch.Kind, branch.Point));
        Assert.Equal([1], site.Machine.Image(branch.Disks[0].Overlay).Written.Keys);
        Assert.DoesNotContain(site.Machine.DaemonNames(), daemon => daemon.StartsWith("run-", StringComparison.Ordinal));

        // The source has it again, and what it sends is taken; the branch stands whatever becomes of the points.
        died |= await OrderAsync(site, host => host.HeardAsync(answer.Line, default).AsTask());
        Assert.IsType<OwnershipState.Elsewhere>(site.Host.Status.Ownership.State);
        site.Source.GoOn(answer.Line, newest);
        RecoveryPointId next = await site.Source.PointAsync(site.Host.Sink);
        Assert.Equal(next, site.Host.Points[^1].Id);
        died |= await OrderAsync(site, host => host.DeleteBranchAsync(branch.Id, default).AsTask());
        Assert.Empty(site.Host.Status.Branches);
        Assert.Empty(site.Host.Status.Replica!.Pins);
        Assert.DoesNotContain(site.Machine.ImagePaths(), image => image.Contains("failover-", StringComparison.Ordinal));
        return died;
    });

    [Fact]
    public Task The_point_is_changed_and_changed_again_whatever_dies() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(newest), default);
        LineId first = site.Host.Status.Failover!.Line;
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default).AsTask());
        AssertRunsOn(site, older);
        LineId second = site.Host.Status.Failover!.Line;
        Assert.True(second.IsNewerThan(first));
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vdb", 2, 0x22);
        died |= await OrderAsync(site, host => host.ChangePointAsync(new ChangePointOrder(newest, BranchDays: 7), default).AsTask());
        AssertRunsOn(site, newest);
        Assert.True(site.Host.Status.Failover!.Line.IsNewerThan(second));

        Assert.Equal(
            [(BranchKind.ChangedPoint, newest), (BranchKind.ChangedPoint, older)],
            site.Host.Status.Branches.Select(status => (status.Branch.Kind, status.Branch.Point)));
        Assert.Equal([1], site.Machine.Image(site.Host.Status.Branches[0].Branch.Disks[0].Overlay).Written.Keys);
        Assert.Equal([2], site.Machine.Image(site.Host.Status.Branches[1].Branch.Disks[1].Overlay).Written.Keys);
        Assert.Single(site.Machine.DaemonNames(), daemon => daemon.StartsWith("run-", StringComparison.Ordinal));
        Assert.Equal(6, site.Machine.ImagePaths().Count(image => image.Contains("failover-", StringComparison.Ordinal)));
        return died;
    });

    [Fact]
    public Task A_promoted_test_is_a_failover_from_its_point_and_a_branch_of_what_it_wrote() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Source.PointAsync(site.Host.Sink);
        TestRequest test = ModelSite.Test(point);
        await site.Host.StartTestAsync(test, default);
        site.Hypervisor.GuestWrite(site.Host.Status.Tests[0].TestVm, "vda", 3, 0x33);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, host => host.StartFailoverAsync(ModelSite.Failover(point) with { FromTest = test.Id }, default).AsTask());

        AssertRunsOn(site, point);
        Assert.Equal([SourceFeed.Vm], site.Machine.Domains.Keys);
        Assert.Empty(site.Host.Status.Tests);
        Assert.Empty(site.Machine.Networks);
        BranchRecord branch = Assert.Single(site.Host.Status.Branches).Branch;
        Assert.Equal((new BranchId(test.Id), BranchKind.PromotedTest, point), (branch.Id, branch.Kind, branch.Point));
        Assert.Equal([3], site.Machine.Image(branch.Disks[0].Overlay).Written.Keys);
        Assert.Empty(site.Machine.Image(site.Host.Status.Failover!.Disks[0].Overlay).Written);
        Assert.Single(site.Host.Status.Replica!.Pins);
        return died;
    });

    [Theory]
    [InlineData(null, false)]
    [InlineData(null, true)]
    [InlineData("other", true)]
    public Task A_point_is_given_out_and_taken_back_whatever_dies(string? toVm, bool writable) => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Source.PointAsync(site.Host.Sink);
        site.Machine.Images["/pool/other.qcow2"] = new ModelImage(ModelSite.DiskBytes, null);
        VmId other = await site.Hypervisor.DefineAsync(Other, default);
        await site.Hypervisor.StartAsync(other, default);
        MountOrder order = new(new Guid(9, 0, 0, new byte[8]), point, Branch: null, toVm, writable);
        bool died = await BeginAsync(site, life);
        MountRecord? mount = null;
        died |= await OrderAsync(site, async host => mount = await host.MountAsync(order, default));
        Assert.Equal(["vda", "vdb"], mount!.Disks.Select(disk => disk.TargetDevice));
        Assert.Equal(toVm is null ? ["/dev/mount-000000090000-vda", "/dev/mount-000000090000-vdb"] : ["vdb", "vdc"], mount.Disks.Select(disk => disk.Device));
        Assert.Equal(toVm is null ? 1 : 0, site.Machine.Devices.Count);
        Assert.Equal(toVm is null ? 1 : 3, XElement.Parse(site.Machine.Domains[other].Live!).Descendants("disk").Count());
        Assert.Single(XElement.Parse(site.Machine.Domains[other].Inactive).Descendants("disk"));

        died |= await OrderAsync(site, host => host.UnmountAsync(order.Id, default).AsTask());
        Assert.Single(XElement.Parse(site.Machine.Domains[other].Live!).Descendants("disk"));
        Assert.Empty(site.Machine.Devices);
        Assert.Empty(site.Host.Status.Mounts);
        Assert.Empty(site.Host.Status.Replica!.Pins);
        Assert.DoesNotContain(site.Machine.ImagePaths(), image => image.Contains("mount-", StringComparison.Ordinal));
        Assert.DoesNotContain(site.Machine.DaemonNames(), daemon => daemon.StartsWith("run-", StringComparison.Ordinal));
        return died;
    });

    [Fact]
    public async Task A_device_in_use_is_not_taken_away_and_says_so()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        MountRecord mount = await site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, Branch: null, ToVm: null, Writable: true), default);
        lock (site.Machine.Lock)
        {
            site.Machine.DevicesInUse.Add(Assert.Single(site.Machine.Devices).Key);
        }

        Assert.Equal(RefusalCode.Busy, (await Assert.ThrowsAsync<RefusedException>(() => site.Host.UnmountAsync(mount.Id, default).AsTask())).Code);
        Assert.Equal(MountStep.Standing, Assert.Single(site.Host.Status.Mounts).Step);
        lock (site.Machine.Lock)
        {
            site.Machine.DevicesInUse.Clear();
        }

        Assert.Equal(2, (await site.Host.UnmountAsync(mount.Id, default)).Gone.Count);
    }

    [Fact]
    public Task A_commit_stops_at_the_last_merge_while_a_newer_branch_stands_and_finishes_when_it_goes() => ForEveryDeathAsync(async (site, life) =>
    {
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId newest = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(newest), default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vda", 1, 0x11);
        await site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default);
        site.Hypervisor.GuestWrite(SourceFeed.Vm, "vdb", 2, 0x22);
        bool died = await BeginAsync(site, life);
        died |= await OrderAsync(site, async host =>
        {
            string pending = (await host.CommitAsync(default)).Pending!;
            Assert.Contains("last merge waiting for a pin: branch", pending, StringComparison.Ordinal);
        });
        Assert.Equal(FailoverStep.EndingViews, site.Host.Status.Failover!.Step);
        Assert.Equal([older], site.Host.Points.Select(point => point.Id));
        BranchRecord branch = Assert.Single(site.Host.Status.Branches).Branch;
        Assert.Equal(newest, branch.Point);

        // What ran on the newer point is exported as it was, although the journal has been cut before that point.
        died |= await OrderAsync(site, host => host.ExportBranchAsync(branch.Id, $"/export-{site.Machine.ImagePaths().Count}", "raw", default).AsTask());
        string export = site.Machine.ImagePaths().Last(image => image.StartsWith("/export-", StringComparison.Ordinal) && image.EndsWith("vda.raw", StringComparison.Ordinal));
        byte[] left = (byte[])site.Source.Content[newest][0].Clone();
        left.AsSpan(SourceFeed.BlockBytes, SourceFeed.BlockBytes).Fill(0x11);
        Assert.Equal(left, site.Machine.Image(export).Disk.Content.ToArray());

        died |= await OrderAsync(site, host => host.DeleteBranchAsync(branch.Id, default).AsTask());
        died |= await OrderAsync(site, async host => Assert.Null((await host.CommitAsync(default)).Pending));
        byte[] expected = (byte[])site.Source.Content[older][1].Clone();
        expected.AsSpan(2 * SourceFeed.BlockBytes, SourceFeed.BlockBytes).Fill(0x22);
        Assert.Equal(site.Source.Content[older][0], site.BaseContent(0));
        Assert.Equal(expected, site.BaseContent(1));
        Assert.Equal(["/pool/web1/vda-0.qcow2", "/pool/web1/vdb-1.qcow2"], site.Machine.ImagePaths().Where(image => image.StartsWith("/pool", StringComparison.Ordinal)));
        Assert.Empty(site.Machine.DaemonNames());
        return died;
    });

    private const string Other = """
        <domain type='qemu'><name>other</name><uuid>99999999-0000-4000-8000-000000000009</uuid><devices>
          <disk type='file' device='disk'><source file='/pool/other.qcow2'/><target dev='vda' bus='virtio'/></disk>
        </devices></domain>
        """;

    private static void AssertRunsOn(ModelSite site, RecoveryPointId point)
    {
        FailoverRecord failover = site.Host.Status.Failover!;
        Assert.Equal((FailoverStep.Running, point), (failover.Step, failover.Point));
        Assert.Equal(failover.Line, site.Host.Status.Replica!.Line);
        Assert.Equal(failover.Line, site.Host.Status.Ownership.Line);
        Assert.True(site.Host.Status.Ownership.MayRun(site.Machine.Boot));
        string live = site.Machine.Domains[SourceFeed.Vm].Live!;
        Assert.All(failover.Disks, disk => Assert.Contains(disk.Overlay, live, StringComparison.Ordinal));
        Assert.All(failover.Disks, disk => Assert.Equal([failover.Bitmap], site.Machine.Image(disk.Overlay).Bitmaps));
    }
}
