using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>Pause, bookmarks, tests that become failovers, branches, mounts, and the end of a protection.</summary>
public sealed class CommandTests : IAsyncLifetime
{
    private Lab _lab = null!; // set by InitializeAsync, as the next three
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;
    private ReplicaId _replica;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private FakeSource Source => _alpha.Sources[_replica];

    private FakeReplica Target => _beta.Replicas[_replica];

    public async ValueTask InitializeAsync()
    {
        (_lab, _alpha, _beta) = await Lab.WithTwoSitesAsync();
        _replica = await _lab.ProtectAsync(_beta, "web1");
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task A_pause_names_who_paused_and_ends_by_a_resume()
    {
        await DoneAsync(_lab.Client.PauseAsync("web1", Ct));
        await UntilStateAsync(ProtectionState.Paused);
        Assert.Equal("admin", (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.PausedBy);
        Assert.Contains("paused by admin", (await RefusedAsync("state-refuses", () => _lab.Client.FailoverAsync("web1", new FailoverDto(false, null, null), Ct))).Why, StringComparison.Ordinal);

        await DoneAsync(_lab.Client.ResumeAsync("web1", Ct));
        await UntilStateAsync(ProtectionState.Protected);
        await DoneAsync(_lab.Client.ResyncAsync("web1", Ct));
        Assert.True(Source.Resynced);
    }

    [Fact]
    public async Task A_bookmark_is_a_point_with_its_label_and_its_mark()
    {
        JobDto job = await DoneAsync(_lab.Client.MarkAsync("web1", new MarkDto(" before the update "), Ct));

        PointDto point = (await _lab.Client.ListPointsAsync("web1", Ct))[^1];
        Assert.Equal((PointKind.Bookmark, "before the update"), (point.Kind, point.Label));
        Assert.Equal(["bookmark"], point.Marks);
        Assert.Equal(point.Id, (await _lab.Client.GetPointAsync("web1", "latest", Ct)).Id);
        Assert.Contains(job.Made, line => line.Contains(point.Id, StringComparison.Ordinal));
        await RefusedAsync("value-unusable", () => _lab.Client.MarkAsync("web1", new MarkDto(new string('x', 64)), Ct));
        await RefusedAsync("value-unusable", () => _lab.Client.MarkAsync("web1", new MarkDto("red\u001b[31m"), Ct)); // it would be printed to a terminal
    }

    [Fact]
    public async Task A_test_becomes_the_vm_from_its_own_point_and_its_own_job_ends()
    {
        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null, "quarterly"), Ct);
        await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
        Assert.Equal("quarterly", Assert.Single((await _lab.Client.GetVmAsync("web1", Ct)).Protection!.Tests).Label); // protected
        RecoveryPointId point = Target.Points[^1].Id;
        Assert.Contains("test web1-test", (await _lab.Client.GetPointAsync("web1", point.ToString(), Ct)).Marks);
        _beta.AddPoint(_replica, _lab.Time.GetUtcNow()); // newer, and not what was tested
        await RefusedAsync("confirmation-wrong", () => _lab.Client.PromoteAsync("web1", new PromoteDto(null, null), Ct));
        JobDto promoted = await DoneAsync(_lab.Client.PromoteAsync("web1", new PromoteDto("web1-test", "FAILOVER"), Ct));

        Assert.Equal("web1 (promote)", promoted.Name);
        Assert.Equal(point, Target.Failover?.Point);
        Assert.False(Source.Running);
        JobDto ended = await _lab.EndOfAsync(test.Id);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.All(ended.Steps.Skip(1), step => Assert.Contains($"became the failover of job {promoted.Id}", step.Detail, StringComparison.Ordinal));
        Assert.Empty((await _lab.Client.GetVmAsync("web1", Ct)).Protection!.Tests); // as above
        await Lab.UntilAsync(async () => (await _lab.Client.ListBranchesAsync("web1", Ct)).Any(branch => branch.Kind == BranchKind.PromotedTest));
        await UntilStateAsync(ProtectionState.CommitPending);
    }

    [Fact]
    public async Task A_branch_is_tested_mounted_and_exported_by_its_name_and_deleted_by_its_name_twice()
    {
        await _lab.FailOverAsync("web1");
        await DoneAsync(_lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct));
        await Lab.UntilAsync(async () => (await _lab.Client.ListBranchesAsync("web1", Ct)).Count == 1);
        BranchDto branch = (await _lab.Client.ListBranchesAsync("web1", Ct))[0];

        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(branch.Name, null), Ct);
        await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
        Assert.Equal(branch.Id, Assert.Single(_beta.Tests.Values).Branch?.Value);
        await _lab.Client.CompleteJobAsync(test.Id, new JobCompleteDto(null), Ct);
        await _lab.EndOfAsync(test.Id);

        await DoneAsync(_lab.Client.MountPointAsync("web1", branch.Name, new MountDto(Writable: true), Ct));
        await Lab.UntilAsync(async () => (await MountsAsync()).Count == 1);
        MountedDto mount = (await MountsAsync())[0];
        Assert.Equal((branch.Name, true, null), (mount.What, mount.Writable, mount.ToVm));
        Assert.Contains("mounted", (await RefusedAsync("state-refuses", () => _lab.Client.UnprotectAsync("web1", false, Ct))).Why, StringComparison.Ordinal);
        await DoneAsync(_lab.Client.TakeMountBackAsync("web1", "/dev/nbd3", Ct));
        await Lab.UntilAsync(async () => (await MountsAsync()).Count == 0);
        await DoneAsync(_lab.Client.ExportPointAsync("web1", branch.Name, new ExportDto("/exports/web1", null), Ct));

        Assert.Contains("branch", (await RefusedAsync("state-refuses", () => _lab.Client.UnprotectAsync("web1", false, Ct))).Why, StringComparison.Ordinal);
        await RefusedAsync("branch-unknown", () => _lab.Client.DeleteBranchAsync("web1", "cancelled-20200101-000000", "cancelled-20200101-000000", Ct));
        await RefusedAsync("confirmation-wrong", () => _lab.Client.DeleteBranchAsync("web1", branch.Name, null, Ct));
        await DoneAsync(_lab.Client.DeleteBranchAsync("web1", branch.Name, branch.Name, Ct));
        await Lab.UntilAsync(async () => (await _lab.Client.ListBranchesAsync("web1", Ct)).Count == 0);
    }

    [Fact]
    public async Task A_branch_in_use_is_not_deleted()
    {
        Target.Branches.Add(new BranchInfo(
            new BranchId(Guid.NewGuid()), BranchKind.ChangedPoint, FakeAgent.Line, Target.Points[0].Id, _lab.Time.GetUtcNow(), null, 1, [], ["test web1-test"]));
        _beta.Post(Target);
        await Lab.UntilAsync(async () => (await _lab.Client.ListBranchesAsync("web1", Ct)).Count == 1);
        string name = (await _lab.Client.ListBranchesAsync("web1", Ct))[0].Name;

        Assert.Contains("web1-test", (await RefusedAsync("branch-in-use", () => _lab.Client.DeleteBranchAsync("web1", name, name, Ct))).Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_point_is_attached_to_a_vm_of_the_target_host_and_detached_by_its_name()
    {
        await RefusedAsync("vm-unknown", () => _lab.Client.AttachPointAsync("web1", "latest", new AttachDto("rescue"), Ct));
        _beta.Vms.Add(Lab.Vm("rescue"));
        _beta.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.ListVmsAsync(null, [], Ct)).Any(vm => vm.Name == "rescue"));
        await DoneAsync(_lab.Client.AttachPointAsync("web1", "latest", new AttachDto("rescue"), Ct));
        await Lab.UntilAsync(async () => (await MountsAsync()) is [{ ToVm: "rescue" }]);
        Assert.Contains("attached to rescue", (await _lab.Client.ListPointsAsync("web1", Ct))[^1].Marks);

        await RefusedAsync("mount-unknown", () => _lab.Client.TakeMountBackAsync("web1", "vdz", Ct));
        await DoneAsync(_lab.Client.TakeMountBackAsync("web1", (await MountsAsync())[0].Name, Ct));
        Assert.Empty(Target.Mounts);
    }

    [Fact]
    public async Task Protection_that_ends_at_the_target_asks_where_the_vm_stays_and_lists_the_old_source_until_it_is_deleted_by_name()
    {
        await _lab.FailOverAsync("web1");
        await DoneAsync(_lab.Client.CommitAsync("web1", Ct));
        await RefusedAsync("stay-unsaid", () => _lab.Client.UnprotectAsync("web1", keepAtTarget: false, Ct));
        await DoneAsync(_lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct));
        BranchDto old = Assert.Single((await _lab.Client.GetVmAsync("web1", Ct)).Branches); // from the end of the job on, not from a later report on
        Assert.Equal((BranchKind.RetiredSource, "alpha"), (old.Kind, old.Host));
        string name = old.Name;

        await RefusedAsync("vm-not-protected", () => _lab.Client.CommitAsync("web1", Ct));
        Assert.Empty(await _lab.Client.ListPointsAsync("web1", Ct)); // asked together with its branches
        await RefusedAsync("in-use", () => _lab.Client.RemoveHostAsync("alpha", "sold", Ct)); // it would take the branch off every list
        await DoneAsync(_lab.Client.DeleteBranchAsync("web1", name, name, Ct));
        Assert.Empty(_alpha.Retired);
        Assert.Empty((await _lab.Client.GetVmAsync("web1", Ct)).Branches);
    }

    /// <summary>Until the commit a cancel gives the VM back to them, and what then runs nowhere is no VM.</summary>
    [Fact]
    public async Task The_old_disks_of_a_source_that_was_cut_off_are_not_deleted_before_the_commit()
    {
        JobDto failover = await DoneAsync(_lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "FAILOVER"), Ct));
        Assert.Equal(JobState.Succeeded, failover.State);
        await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Branches is [{ Kind: BranchKind.DeposedSource }]);
        string name = (await _lab.Client.GetVmAsync("web1", Ct)).Branches[0].Name;
        await UntilStateAsync(ProtectionState.CommitPending);

        Assert.Contains("cancel", (await RefusedAsync("not-committed", () => _lab.Client.DeleteBranchAsync("web1", name, name, Ct))).Why, StringComparison.Ordinal);
        await DoneAsync(_lab.Client.CommitAsync("web1", Ct));
        await DoneAsync(_lab.Client.DeleteBranchAsync("web1", name, name, Ct));
    }

    [Fact]
    public async Task A_dead_host_is_removed_with_its_old_disks_named_once_more()
    {
        await _lab.FailOverAsync("web1");
        await DoneAsync(_lab.Client.CommitAsync("web1", Ct));
        await DoneAsync(_lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct));
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);

        await _lab.Client.RemoveHostAsync("alpha", "sold", Ct);

        EventDto said = Assert.Single(await _lab.Client.ListEventsAsync(0, 1000, Ct), e => e.Kind == "host-removed");
        Assert.Contains("keeps old disks of web1", said.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("has not heard", said.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_job_that_waits_for_a_host_ends_when_the_host_is_removed()
    {
        await _lab.FailOverAsync("web1");
        await DoneAsync(_lab.Client.CommitAsync("web1", Ct));
        await DoneAsync(_lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct));
        string old = Assert.Single((await _lab.Client.GetVmAsync("web1", Ct)).Branches).Name;
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        JobDto deletion = await _lab.Client.DeleteBranchAsync("web1", old, old, Ct);
        await _lab.UntilAsync(deletion.Id, job => job.Wait == JobWait.Host);

        await _lab.Client.RemoveHostAsync("alpha", "burnt down", Ct);

        JobDto ended = await _lab.EndOfAsync(deletion.Id);
        Assert.Equal((JobState.Failed, "host-unknown"), (ended.State, ended.Error?.Code));
    }

    [Fact]
    public async Task A_dead_host_that_never_heard_who_owns_its_vm_is_removed_with_a_warning_and_the_target_keeps_the_answer()
    {
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        await DoneAsync(_lab.Client.FailoverAsync("web1", new FailoverDto(true, null, Confirmation.Failover), Ct));
        await DoneAsync(_lab.Client.CommitAsync("web1", Ct));
        await DoneAsync(_lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct));
        Assert.True(_beta.LastUnprotected?.SourceUntold);

        await _lab.Client.RemoveHostAsync("alpha", "burnt down", Ct);

        EventDto said = Assert.Single(await _lab.Client.ListEventsAsync(0, 1000, Ct), e => e.Kind == "host-removed");
        Assert.Contains("has not heard that web1 came to stay", said.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dead_target_is_removed_with_the_replica_named_that_it_was_to_remove()
    {
        await _lab.Client.CopyVaultAsync(Ct);
        Assert.Contains((await _lab.Client.ListCopiesAsync(Ct)).Copies, copy => copy.Host == "beta");
        await _beta.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("beta", Ct)).Online);
        _lab.Time.Advance(TimeSpan.FromMinutes(1));
        await DoneAsync(_lab.Client.UnprotectAsync("web1", keepAtTarget: false, Ct));

        await _lab.Client.RemoveHostAsync("beta", "burnt down", Ct);

        EventDto said = Assert.Single(await _lab.Client.ListEventsAsync(0, 1000, Ct), e => e.Kind == "host-removed");
        Assert.Contains("may still keep the replica of web1", said.Text, StringComparison.Ordinal);
        Assert.DoesNotContain((await _lab.Client.ListCopiesAsync(Ct)).Copies, copy => copy.Host == "beta");
    }

    [Fact]
    public async Task Old_disks_keep_the_vm_from_being_protected_back_over_them()
    {
        await _lab.FailOverAsync("web1");
        await DoneAsync(_lab.Client.CommitAsync("web1", Ct));
        await DoneAsync(_lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct));
        _beta.Vms.Add(_alpha.Vms[0] with { Power = VmPower.Running });
        _beta.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Host == "beta");

        await RefusedAsync("old-disks-there", () => _lab.Client.ProtectAsync("web1", new ProtectDto("alpha", null, null, null), Ct));
    }

    [Fact]
    public async Task A_source_that_was_away_when_its_vm_stayed_at_the_target_is_retired_when_it_returns()
    {
        await _lab.FailOverAsync("web1");
        await DoneAsync(_lab.Client.CommitAsync("web1", Ct));
        await _alpha.StopAsync();
        _lab.Time.Advance(TimeSpan.FromMinutes(1));
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        JobDto ended = await DoneAsync(_lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct));
        Assert.Contains(ended.Made, line => line.Contains("alpha is not connected", StringComparison.Ordinal));

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(!_alpha.Retired.IsEmpty));
        await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Branches is [{ Kind: BranchKind.RetiredSource }]);
    }

    [Fact]
    public async Task First_copy_can_be_paused_and_ended_and_its_job_follows()
    {
        await DoneAsync(_lab.Client.UnprotectAsync("web1", false, Ct));
        JobDto protect = await _lab.Client.ProtectAsync("web1", new ProtectDto("beta", "every-15s", null, null), Ct);
        await _lab.UntilAsync(protect.Id, job => job.Steps[3].State == StepState.Running);
        await Lab.UntilAsync(() => Task.FromResult(_alpha.Sources.Count == 1));
        await DoneAsync(_lab.Client.PauseAsync("web1", Ct));
        await UntilStateAsync(ProtectionState.Paused);
        await DoneAsync(_lab.Client.UnprotectAsync("web1", false, Ct));

        Assert.Equal(JobState.Cancelled, (await _lab.EndOfAsync(protect.Id)).State);
        await UntilStateAsync(ProtectionState.Unprotected);
    }

    [Fact]
    public async Task A_point_that_has_gone_since_it_was_chosen_is_told_from_one_that_never_was()
    {
        await _lab.FailOverAsync("web1");
        _beta.Before["failover.changePoint"] = _ => throw new ErrorException(Errors.UnknownPoint("web1", "it"));
        JobDto failed = await _lab.EndOfAsync((await _lab.Client.ChangePointAsync("web1", new ChangePointDto("latest"), Ct)).Id);

        Assert.Equal("point-gone", failed.Error?.Code);
    }

    private async Task<IReadOnlyList<MountedDto>> MountsAsync() => (await _lab.Client.GetVmAsync("web1", Ct)).Protection!.Mounts; // protected while this is asked

    private async Task<JobDto> DoneAsync(Task<JobDto> started)
    {
        JobDto ended = await _lab.EndOfAsync((await started).Id);
        Assert.True(ended.State == JobState.Succeeded, ended.Error?.ToString());
        return ended;
    }

    private Task UntilStateAsync(ProtectionState state) => Lab.UntilAsync(async () => await _lab.StateAsync("web1") == state);

    private static async Task<ErrorInfo> RefusedAsync(string code, Func<Task> ask)
    {
        ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(ask)).Error;
        Assert.Equal(code, error.Code);
        return error;
    }
}
