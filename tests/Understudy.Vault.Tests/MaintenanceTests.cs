using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Model;
using Understudy.Vault.Backup;
using Understudy.Vault.Sites;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>A host is rebooted with notice (PRE-4), as source and as target, with agents that only pretend to have VMs.</summary>
public sealed class MaintenanceTests : IAsyncLifetime
{
    private Lab _lab = null!; // as the two below: set by InitializeAsync
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        (_lab, _alpha, _beta) = await Lab.WithTwoSitesAsync();
        await _lab.ProtectAsync(_beta, "web1");
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task Guests_rest_with_nothing_missing_and_run_again_once_the_host_has_booted()
    {
        HostMaintenanceDto plan = await _lab.Client.ShowMaintenanceAsync("alpha", Ct);
        Assert.Null(plan.Since);
        Assert.Contains("is shut down", Assert.Single(plan.Vms).Happens, StringComparison.Ordinal);

        long job = await BeginAsync();
        FakeSource source = Source;
        Assert.Equal((false, true), (source.Running, source.Token.IsFenced));
        Assert.Equal(PointKind.Planned, _beta.Replicas.Values.Single().Points[^1].Kind);
        await Lab.UntilAsync(async () => (await VmAsync()).Wait == ProtectionWait.Maintenance);
        Assert.Contains("in maintenance", Assert.Single((await VmAsync()).Health.Reasons).Reason, StringComparison.Ordinal);
        Assert.True(Assert.Single((await _lab.Client.ShowMaintenanceAsync("alpha", Ct)).Vms).Ready);

        await _alpha.RestartAsync(() => _alpha.Boot = "boot-2");
        JobDto ended = await _lab.EndOfAsync(job);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Equal((true, false), (source.Running, source.Token.IsFenced));
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Maintenance is null);
        Assert.Equal(ProtectionWait.None, (await VmAsync()).Wait);
    }

    /// <summary>Nothing can be started there yet, and nothing of what the vault knew is wrong.</summary>
    [Fact]
    public async Task A_host_that_has_booted_gets_its_VMs_back_once_its_libvirt_answers()
    {
        long job = await BeginAsync();
        await _alpha.RestartAsync(() => (_alpha.Boot, _alpha.HypervisorError) = ("boot-2", "Connection refused"));
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        await Task.Delay(TimeSpan.FromSeconds(3), Ct); // more than the clock's interval
        Assert.NotNull((await _lab.Client.GetHostAsync("alpha", Ct)).Maintenance);
        Assert.Equal(JobWait.Maintenance, (await _lab.Client.GetJobAsync(job, Ct)).Wait);

        await _alpha.RestartAsync(() => _alpha.HypervisorError = null);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job)).State);
        Assert.Equal((true, false), (Source.Running, Source.Token.IsFenced));
    }

    [Fact]
    public async Task The_end_of_one_host_s_maintenance_is_not_that_of_another_s_that_lists_the_same_VM()
    {
        long job = await BeginAsync();
        _beta.Vms.Add(_alpha.Vms[0] with { Name = "web1-of-last-year" });
        _beta.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).VmCount == 1);
        await _lab.Client.BeginMaintenanceAsync("beta", new MaintenanceBeginDto(), Ct);
        await _lab.Client.EndMaintenanceAsync("beta", Ct);
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Maintenance is null);

        Assert.Equal(JobWait.Maintenance, (await _lab.Client.GetJobAsync(job, Ct)).Wait);
        Assert.False(Source.Running);
    }

    [Fact]
    public async Task A_restart_of_the_agent_alone_ends_nothing_and_a_word_does()
    {
        long job = await BeginAsync();
        await _alpha.RestartAsync();
        await _lab.StopVaultAsync();
        await _lab.StartVaultAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        await Task.Delay(TimeSpan.FromSeconds(3), Ct); // more than the clock's interval
        Assert.Equal(JobWait.Maintenance, (await _lab.Client.GetJobAsync(job, Ct)).Wait);

        await _lab.Client.EndMaintenanceAsync("alpha", Ct);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job)).State);
        Assert.True(Source.Running);
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Maintenance is null);
        ErrorException again = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.EndMaintenanceAsync("alpha", Ct));
        Assert.Equal("not-in-maintenance", again.Error.Code);
    }

    [Fact]
    public async Task With_an_end_time_boots_do_not_end_it_and_the_time_does()
    {
        long job = await BeginAsync(_lab.Time.GetUtcNow() + TimeSpan.FromHours(2));
        await _alpha.RestartAsync(() => _alpha.Boot = "boot-2");
        await Task.Delay(TimeSpan.FromSeconds(3), Ct); // more than the clock's interval
        Assert.Equal(JobWait.Maintenance, (await _lab.Client.GetJobAsync(job, Ct)).Wait);

        _lab.Time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job)).State);
    }

    [Fact]
    public async Task A_host_that_burns_in_its_maintenance_keeps_nobody_from_failing_over()
    {
        long job = await BeginAsync();
        await _alpha.StopAsync();
        JobDto failover = await _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, Confirmation.Failover), Ct);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(failover.Id)).State);
        await _lab.Client.EndMaintenanceAsync("alpha", Ct);
        await _alpha.RestartAsync();

        JobDto ended = await _lab.EndOfAsync(job);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Contains("went over", ended.Steps[^1].Detail, StringComparison.Ordinal);
        Assert.Equal(ProtectionState.CommitPending, await _lab.StateAsync("web1"));
    }

    [Fact]
    public async Task At_a_target_nothing_is_stopped()
    {
        HostMaintenanceDto begun = await _lab.Client.BeginMaintenanceAsync("beta", new MaintenanceBeginDto(Reason: "new kernel"), Ct);
        MaintainedVmDto vm = Assert.Single(begun.Vms);
        Assert.Equal(("target", true, null), (vm.Part, vm.Ready, vm.Job));
        Assert.True(Source.Running);
        Assert.Contains("spools", (await VmAsync()).Health.Reasons[0].Reason, StringComparison.Ordinal);
        ErrorException second = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.BeginMaintenanceAsync("beta", new MaintenanceBeginDto(), Ct));
        Assert.Equal("in-maintenance", second.Error.Code);

        await _beta.RestartAsync(() => _beta.Boot = "boot-2");
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Maintenance is null);
    }

    [Fact]
    public async Task A_job_that_is_cancelled_gives_its_VM_back()
    {
        long job = await BeginAsync();
        await _lab.Client.CancelJobAsync(job, Ct);
        Assert.Equal(JobState.Cancelled, (await _lab.EndOfAsync(job)).State);
        Assert.Equal((true, false), (Source.Running, Source.Token.IsFenced));
    }

    [Fact]
    public async Task A_maintenance_that_a_vault_left_half_begun_goes_on_with_the_next_vault()
    {
        await _lab.StopVaultAsync();
        VaultStorage storage = await VaultStorage.OpenAsync(Path.Combine(_lab.Folder, CopyMaker.Database), Ct);
        await using (VaultDb db = storage.Open())
        {
            HostRow row = await db.Hosts.AsTracking().SingleAsync(host => host.Name == "alpha", Ct);
            MaintenanceNote note = new(_lab.Time.GetUtcNow(), Until: null, "new kernel", "admin", _alpha.Boot, StillToBegin: TimeSpan.FromMinutes(5));
            row.MaintenanceJson = VaultJson.Write(note, VaultJson.Default.MaintenanceNote);
            await db.SaveChangesAsync(Ct);
        }

        await _lab.StartVaultAsync();
        await Lab.UntilAsync(async () => Assert.Single((await _lab.Client.ShowMaintenanceAsync("alpha", Ct)).Vms).Ready);
        Assert.False(Source.Running);
        Assert.NotNull((await _lab.Client.GetHostAsync("alpha", Ct)).Maintenance);
    }

    [Fact]
    public async Task A_VM_that_is_busy_when_it_ends_keeps_no_other_from_being_given_back()
    {
        DiscoveredVm second = Lab.Vm("web2");
        _alpha.Vms.Add(second);
        _alpha.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).VmCount == 2);
        await _lab.ProtectAsync(_beta, "web2");
        await _lab.Client.BeginMaintenanceAsync("alpha", new MaintenanceBeginDto(), Ct);
        await Lab.UntilAsync(async () => (await _lab.Client.ShowMaintenanceAsync("alpha", Ct)).Vms.All(vm => vm.Ready));
        TaskCompletionSource exported = new();
        _beta.Before["point.export"] = stop => exported.Task.WaitAsync(stop);
        await _lab.Client.ExportPointAsync("web1", "latest", new ExportDto("/exports", null), Ct);

        HostMaintenanceDto ended = await _lab.Client.EndMaintenanceAsync("alpha", Ct);
        Assert.NotNull(ended.Since); // not of all
        await Lab.UntilAsync(() => Task.FromResult(_alpha.Sources.Values.Single(source => source.Request.Vm == second.Id) is { Running: true, Token.IsFenced: false }));
        FakeSource busy = _alpha.Sources.Values.Single(source => source.Request.Vm != second.Id);
        Assert.False(busy.Running);

        exported.SetResult();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Maintenance is null);
        await Lab.UntilAsync(() => Task.FromResult(busy.Running));
    }

    [Fact]
    public async Task An_end_that_is_said_while_the_begin_is_under_way_is_not_lost()
    {
        Task<HostMaintenanceDto> begin = _lab.Client.BeginMaintenanceAsync("alpha", new MaintenanceBeginDto(), Ct);
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Maintenance is not null);
        await _lab.Client.EndMaintenanceAsync("alpha", Ct);
        await begin;

        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Maintenance is null);
        await Lab.UntilAsync(() => Task.FromResult(Source is { Running: true, Token.IsFenced: false }));
    }

    [Fact]
    public async Task What_was_left_alone_is_not_said_to_be_shut_down_some_time()
    {
        TaskCompletionSource exported = new();
        _beta.Before["point.export"] = stop => exported.Task.WaitAsync(stop);
        JobDto export = await _lab.Client.ExportPointAsync("web1", "latest", new ExportDto("/exports", null), Ct);
        await _lab.Client.BeginMaintenanceAsync("alpha", new MaintenanceBeginDto(), Ct);
        exported.SetResult();
        await _lab.EndOfAsync(export.Id);

        string happens = Assert.Single((await _lab.Client.ShowMaintenanceAsync("alpha", Ct)).Vms).Happens;
        Assert.StartsWith("left alone: ", happens, StringComparison.Ordinal);
        Assert.Contains($"Job {export.Id}", happens, StringComparison.Ordinal);
        Assert.True(Source.Running);
    }

    [Fact]
    public async Task What_failed_is_said_to_have_failed()
    {
        _alpha.Before["source.stopGuest"] = _ => throw new UnderstudyException(FaultClass.NeedsOperator, "the guest's lock is held");
        HostMaintenanceDto begun = await _lab.Client.BeginMaintenanceAsync("alpha", new MaintenanceBeginDto(), Ct);
        long job = Assert.Single(begun.Vms).Job!.Value; // the VM is protected: it has one
        Assert.Equal(JobState.Failed, (await _lab.EndOfAsync(job)).State);

        MaintainedVmDto vm = Assert.Single((await _lab.Client.ShowMaintenanceAsync("alpha", Ct)).Vms);
        Assert.Equal((null, false), (vm.Job, vm.Ready));
        Assert.StartsWith($"job {job}: Failed. ", vm.Happens, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_VM_that_is_paused_rests_too_and_is_not_said_to_miss_nothing()
    {
        await _lab.EndOfAsync((await _lab.Client.PauseAsync("web1", Ct)).Id);
        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == ProtectionState.Paused);
        await BeginAsync();

        MaintainedVmDto vm = Assert.Single((await _lab.Client.ShowMaintenanceAsync("alpha", Ct)).Vms);
        Assert.True(vm.Ready);
        Assert.Equal("off; what it wrote last is sent when replication goes on", vm.Happens);
    }

    private FakeSource Source => _alpha.Sources.Values.Single();

    private async Task<ProtectionDto> VmAsync() => (await _lab.Client.GetVmAsync("web1", Ct)).Protection!; // it is protected

    private async Task<long> BeginAsync(DateTimeOffset? until = null)
    {
        HostMaintenanceDto begun = await _lab.Client.BeginMaintenanceAsync("alpha", new MaintenanceBeginDto(until), Ct);
        long job = Assert.Single(begun.Vms).Job!.Value; // the VM is protected: it has one
        await _lab.UntilAsync(job, state => state.Wait == JobWait.Maintenance);
        return job;
    }
}
