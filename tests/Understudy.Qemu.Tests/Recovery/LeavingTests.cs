using System.Diagnostics;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Branches;
using Understudy.Protection.Target.Runs;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>FO-3, TST-2 (promote) and what FO-4 says of branches, with real QEMU, libvirt and storage daemons.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class LeavingTests(PrivateHost libvirtHost, ITestOutputHelper output) : IAsyncLifetime
{
    private const int Written = 1 << 20;

    private static readonly TransferId Back = new(new Guid(2, 0, 0, new byte[8]));

    private RecoverySite _site = null!; // Set before each test.

    public async ValueTask InitializeAsync() => _site = await RecoverySite.CreateAsync(libvirtHost);

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task A_cancelled_failover_is_a_branch_that_is_read_started_and_deleted_while_the_source_goes_on()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        RecoveryPointId newest = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await StartAsync(point);
        await _site.GuestWriteAsync(SourceFeed.Vm, 0, 0xee, 0, Written);
        await _site.GuestIoAsync(SourceFeed.Vm, 0, "flush");

        long began = Stopwatch.GetTimestamp();
        FailoverCancelled cancelled = await _site.Host.CancelAsync(new CancelOrder(Back, _site.Host.Spec.Source, BranchDays: 7), default);
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        output.WriteLine($"cancel: {took.TotalMilliseconds:0} ms");
        Assert.True(took < TimeSpan.FromSeconds(30), $"cancel took {took}"); // 1.3 s on an idle machine; nothing in it may wait for a time limit
        Assert.Equal(VmRunState.Absent, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
        Assert.Equal(newest, cancelled.Parent);
        Assert.IsType<OwnershipState.Offered>(_site.Host.Status.Ownership.State);

        // The source has it back, goes on, and its oldest point moves past the one the branch stands on.
        await _site.Host.HeardAsync(cancelled.Line, default);
        _site.Source.GoOn(cancelled.Line, newest);
        RecoveryPointId next = await _site.Source.PointAsync(_site.Host.Sink, blocks: 40);
        await _site.Host.ConfigureAsync(TimeSpan.Zero, default);
        await OldestIsAsync(next);

        BranchRecord branch = Assert.Single(_site.Host.Status.Branches).Branch;
        Assert.True(branch.Bytes >= Written, $"{branch.Bytes} bytes");
        byte[] expected = Overwritten(_site.Source.Content[point][0], 0xee);
        IReadOnlyList<string> files = await _site.Host.ExportBranchAsync(branch.Id, _site.At("export"), "raw", default);
        Assert.Equal(expected, await File.ReadAllBytesAsync(files[0], TestContext.Current.CancellationToken));
        Assert.Equal(_site.Source.Content[point][1], await File.ReadAllBytesAsync(files[1], TestContext.Current.CancellationToken));

        // Two copies of it at once, each on an overlay of its own; the branch stays as it is.
        await _site.Host.StartTestAsync(RecoverySite.Test(branch.Point, 1) with { Branch = branch.Id }, default);
        await _site.Host.StartTestAsync(RecoverySite.Test(branch.Point, 2) with { Branch = branch.Id }, default);
        await _site.GuestWriteAsync(_site.Host.Status.Tests[0].TestVm, 0, 0x77, 0, Written);
        Assert.Equal(expected, await _site.ReadImageAsync(_site.Host.Status.Tests[1].Disks[0].Overlay));
        Assert.Equal(["test web1-test", "test web1-test-2"], _site.Host.Status.Branches[0].UsedBy);
        Assert.Equal(RefusalCode.Busy, (await Assert.ThrowsAsync<RefusedException>(() => _site.Host.DeleteBranchAsync(branch.Id, default).AsTask())).Code);

        await _site.Host.CompleteTestAsync(RecoverySite.Test(branch.Point, 1).Id, null, default);
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(_site.Host.Status.Tests[0].TestVm, default));
        Assert.Equal(expected, await _site.ReadImageAsync(branch.Disks[0].Overlay));
        await _site.Host.CompleteTestAsync(RecoverySite.Test(branch.Point, 2).Id, null, default);
        await _site.Host.DeleteBranchAsync(branch.Id, default);
        Assert.Equal(["vda-0.qcow2", "vdb-1.qcow2"], _site.PoolFiles());
        Assert.Empty(_site.Host.Status.Replica!.Pins);
        Assert.All(await _site.Daemons.ListAsync(default), daemon => Assert.StartsWith("base-", daemon, StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_site.At("log")));
    }

    [Fact]
    public async Task A_commit_to_an_older_point_runs_on_one_overlay_until_the_newer_branch_is_deleted_and_then_ends_by_itself()
    {
        RecoveryPointId older = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        RecoveryPointId newest = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await StartAsync(newest);
        await _site.GuestWriteAsync(SourceFeed.Vm, 0, 0xee, 0, Written);
        await _site.GuestIoAsync(SourceFeed.Vm, 0, "flush");
        long began = Stopwatch.GetTimestamp();
        FailoverStarted changed = await _site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default);
        output.WriteLine($"change of the point: {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms");
        BranchId branch = changed.Branch!.Value;
        Assert.Equal(_site.Source.Content[older][0], await _site.ReadImageAsync(_site.Host.Status.Failover!.Disks[0].Overlay));

        WritingGuest guest = new(_site, SourceFeed.Vm, _site.Source.Content[older]);
        using CancellationTokenSource stop = new();
        Task writing = guest.RunAsync(stop.Token);
        CommitOutcome waiting = await _site.Host.CommitAsync(default);
        string name = Assert.Single(_site.Host.Status.Branches).Branch.Name;
        Assert.Contains($"last merge waiting for a pin: branch {name}", waiting.Pending, StringComparison.Ordinal);
        Assert.Equal([older], _site.Host.Points.Select(point => point.Id));
        string live = await _site.Hypervisor.GetDefinitionAsync(SourceFeed.Vm, DefinitionKind.Live, default);
        Assert.All(_site.Host.Status.Failover!.Disks, disk => Assert.Contains($"'{disk.SecondOverlay}'", live, StringComparison.Ordinal));

        // An agent that starts anew in this state serves the branch and goes on waiting.
        await _site.KillAgentAsync();
        await _site.StartAgentAsync();
        IReadOnlyList<string> files = await _site.Host.ExportBranchAsync(branch, _site.At("export"), "raw", default);
        Assert.Equal(Overwritten(_site.Source.Content[newest][0], 0xee), await File.ReadAllBytesAsync(files[0], TestContext.Current.CancellationToken));
        Assert.Equal(_site.Source.Content[newest][1], await File.ReadAllBytesAsync(files[1], TestContext.Current.CancellationToken));
        RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => _site.Host.UnprotectAsync(withBranches: false, atSource: false, default).AsTask());
        Assert.Equal(RefusalCode.BranchesKept, refused.Code);
        Assert.Contains(name, refused.Message, StringComparison.Ordinal);

        await _site.Host.DeleteBranchAsync(branch, default);
        await ReachedAsync(FailoverStep.Committed);
        await stop.CancelAsync();
        await writing;
        Assert.Equal(["vda-0.qcow2", "vdb-1.qcow2"], _site.PoolFiles());
        Assert.Empty(await _site.Daemons.ListAsync(default));
        for (int disk = 0; disk < 2; disk++)
        {
            await _site.GuestIoAsync(SourceFeed.Vm, disk, "flush");
            Assert.Equal(guest.Disks[disk], await _site.ReadImageAsync(_site.At($"pool/web1/{_site.PoolFiles()[disk]}")));
        }
    }

    [Fact]
    public async Task A_promoted_test_runs_as_the_vm_from_its_point_and_what_the_test_wrote_is_a_branch()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        TestRequest test = RecoverySite.Test(point);
        await _site.Host.StartTestAsync(test, default);
        VmId testVm = _site.Host.Status.Tests[0].TestVm;
        await _site.GuestWriteAsync(testVm, 0, 0xee, 0, Written);
        FailoverStarted started = await _site.Host.StartFailoverAsync(RecoverySite.Failover(point) with { FromTest = test.Id }, default);
        Assert.Equal(new BranchId(test.Id), started.Branch);
        Assert.Equal(VmRunState.Absent, await _site.Hypervisor.GetRunStateAsync(testVm, default));
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
        Assert.Equal(_site.Source.Content[point][0], await _site.ReadImageAsync(_site.Host.Status.Failover!.Disks[0].Overlay));
        IReadOnlyList<string> files = await _site.Host.ExportBranchAsync(new BranchId(test.Id), _site.At("export"), "qcow2", default);
        Assert.Equal(Overwritten(_site.Source.Content[point][0], 0xee), await _site.ReadImageAsync(files[0]));
    }

    [Theory]
    [InlineData("DestroyAsync", true)]
    [InlineData("DestroyAsync", false)]
    [InlineData("UndefineAsync", true)]
    [InlineData("UndefineAsync", false)]
    public async Task An_agent_killed_in_a_cancel_is_followed_by_one_that_finishes_it(string call, bool before)
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        await StartAsync(point);
        await _site.KillAgentAsync();
        await _site.StartAgentAsync(DyingHypervisor.Around(_site.Hypervisor, call, before));
        CancelOrder order = new(Back, _site.Host.Spec.Source, BranchDays: 7);
        await Assert.ThrowsAsync<AgentDiedException>(async () => await _site.Host.CancelAsync(order, default));
        await _site.KillAgentAsync();
        await _site.StartAgentAsync();
        await ReachedAsync(null);
        FailoverCancelled answer = await _site.Host.CancelAsync(order, default); // Asked again, it answers as at first.
        Assert.Equal(answer.Line, _site.Host.Status.Replica!.Line);
        Assert.Equal(answer.Branch, Assert.Single(_site.Host.Status.Branches).Branch.Id);
        Assert.Equal(VmRunState.Absent, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
    }

    [Theory]
    [InlineData("DestroyAsync", false)]
    [InlineData("DefineAsync", true)]
    [InlineData("DefineAsync", false)]
    [InlineData("StartAsync", false)]
    public async Task An_agent_killed_in_a_change_of_the_point_is_followed_by_one_that_finishes_it(string call, bool before)
    {
        RecoveryPointId older = await _site.Source.PointAsync(_site.Host.Sink);
        RecoveryPointId newest = await _site.Source.PointAsync(_site.Host.Sink);
        await StartAsync(newest);
        await _site.KillAgentAsync();
        await _site.StartAgentAsync(DyingHypervisor.Around(_site.Hypervisor, call, before));
        await Assert.ThrowsAsync<AgentDiedException>(async () => await _site.Host.ChangePointAsync(new ChangePointOrder(older, BranchDays: 7), default));
        await _site.KillAgentAsync();
        await _site.StartAgentAsync();
        await ReachedAsync(FailoverStep.Running);
        Assert.Equal(older, _site.Host.Status.Failover!.Point);
        Assert.Equal(VmRunState.Running, await _site.Hypervisor.GetRunStateAsync(SourceFeed.Vm, default));
        Assert.Equal(newest, Assert.Single(_site.Host.Status.Branches).Branch.Point);
        Assert.Equal(_site.Source.Content[older][0], await _site.ReadImageAsync(_site.Host.Status.Failover!.Disks[0].Overlay));
    }

    private async Task StartAsync(RecoveryPointId point)
    {
        long began = Stopwatch.GetTimestamp();
        await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default);
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        output.WriteLine($"command to QEMU running: {took.TotalMilliseconds:0} ms");
    }

    private async Task ReachedAsync(FailoverStep? step)
    {
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while (_site.Host.Status.Failover?.Step != step)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    private async Task OldestIsAsync(RecoveryPointId point)
    {
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while (_site.Host.Points[0].Id != point)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    private static byte[] Overwritten(byte[] disk, byte pattern)
    {
        byte[] content = (byte[])disk.Clone();
        content.AsSpan(0, Written).Fill(pattern);
        return content;
    }
}
