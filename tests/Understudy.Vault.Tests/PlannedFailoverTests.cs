using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>The way over in order, and every way in which it can come to nothing (FO-1).</summary>
public sealed class PlannedFailoverTests : IAsyncLifetime
{
    private static readonly FailoverDto Planned = new(false, null, null);

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
    public async Task The_vm_is_fenced_then_shut_down_then_offered_with_its_last_change_and_started()
    {
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned with { Label = "move" }, Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.Equal((JobState.Succeeded, "web1 (planned failover)"), (ended.State, ended.Name));
        Assert.Equal(
            ["source.cycle", "source.fence", "source.stopGuest", "source.lastChange", "source.offer", "source.handedOver"],
            _alpha.Done.Select(done => done.Method).Where(method => method is not ("host.facts" or "peer.check" or "source.protect" or "source.configure" or "vault.copy")));
        Assert.Equal((PointKind.Planned, Target.Points[^1].Id), (Target.Points[^1].Kind, Target.Failover?.Point));
        Assert.False(Source.Running);
        Assert.False(Source.Token.IsHere);
        Assert.True(Target.Token.IsHere);
        ProtectionDto protection = Assert.IsType<ProtectionDto>((await _lab.Client.GetVmAsync("web1", Ct)).Protection);
        Assert.Equal((ProtectionState.CommitPending, ProtectionWait.Commit, FailoverKind.Planned), (protection.State, protection.Wait, protection.Failover?.Kind));
    }

    [Fact]
    public async Task A_vm_that_is_off_stays_off_until_it_starts_at_the_target()
    {
        _alpha.Vms[0] = _alpha.Vms[0] with { Power = VmPower.Off };
        Source.Running = false;
        _alpha.PostInventory();
        _alpha.Post(Source);
        await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Power == VmPower.Off);
        await _lab.FailOverAsync("web1");

        Assert.DoesNotContain(_alpha.Done, done => done.Method == "source.cycle");
        Assert.True(Target.Token.IsHere);
    }

    [Fact]
    public async Task A_guest_that_ignores_the_shutdown_is_asked_about_waited_for_again_and_powered_off_only_by_the_word()
    {
        _alpha.IgnoresShutdown = true;
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned with { ShutdownLimit = "10s" }, Ct);
        JobDto waits = await _lab.UntilAsync(job.Id, state => state.Wait == JobWait.Action);
        Assert.Equal((JobState.Waiting, StepState.Waiting), (waits.State, waits.Steps[3].State));
        Assert.Contains("wait again, power it off, or cancel", waits.Steps[3].Detail, StringComparison.Ordinal);
        await RefusedAsync("vm-busy", () => _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "FAILOVER"), Ct));

        await _lab.Client.CompleteJobAsync(job.Id, new JobCompleteDto(null), Ct);
        await _lab.UntilAsync(job.Id, state => state.Wait == JobWait.Action && state.Steps[3].Attempt == 2);
        await RefusedAsync("confirmation-wrong", () => _lab.Client.CompleteJobAsync(job.Id, new JobCompleteDto(null, PowerOff: true), Ct));
        Assert.True(Source.Running);

        await _lab.Client.CompleteJobAsync(job.Id, new JobCompleteDto(null, PowerOff: true, "POWER OFF"), Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Equal(3, _alpha.Done.Count(done => done.Method == "source.stopGuest"));
        Assert.StartsWith("powered off by admin at 20", ended.Steps[3].Detail, StringComparison.Ordinal);
        Assert.DoesNotContain("nothing is missing", ended.Steps[4].Detail, StringComparison.Ordinal);
        Assert.Equal((PointKind.Planned, "powered off by admin"), (Target.Points[^1].Kind, Target.Points[^1].Label));
        IReadOnlyList<EventDto> events = await _lab.Client.ListEventsAsync(null, 100, Ct);
        EventDto pulled = Assert.Single(events, happened => happened.Kind == "powered-off");
        Assert.Equal((HealthLevel.Warning, "web1", "alpha"), (pulled.Severity, pulled.Vm, pulled.Host));
        Assert.Contains("by admin", pulled.Text, StringComparison.Ordinal);
        Assert.Equal(2, events.Count(happened => happened is { Kind: "job-waiting", Severity: HealthLevel.Warning })); // each time it began to wait
    }

    [Fact]
    public async Task A_guest_that_shut_down_before_its_plug_was_pulled_is_not_said_to_be_powered_off()
    {
        _alpha.IgnoresShutdown = true;
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        await _lab.UntilAsync(job.Id, state => state.Wait == JobWait.Action);
        _alpha.IgnoresShutdown = false;
        await _lab.Client.CompleteJobAsync(job.Id, new JobCompleteDto(null, PowerOff: true, "POWER OFF"), Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.StartsWith("off after", ended.Steps[3].Detail, StringComparison.Ordinal);
        Assert.EndsWith("nothing is missing", ended.Steps[4].Detail, StringComparison.Ordinal);
        Assert.Null(Target.Points[^1].Label);
        Assert.DoesNotContain(await _lab.Client.ListEventsAsync(null, 100, Ct), happened => happened.Kind == "powered-off");
    }

    [Fact]
    public async Task Cancelling_a_failover_that_waits_for_action_opens_the_fence_and_leaves_the_vm_running()
    {
        _alpha.IgnoresShutdown = true;
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        await _lab.UntilAsync(job.Id, state => state.Wait == JobWait.Action);
        Assert.Equal(ProtectionState.FailingOver, await _lab.StateAsync("web1"));
        await _lab.Client.CancelJobAsync(job.Id, Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Cancelled, ended.State);
        Assert.Equal("undo: open the fence at the source", ended.Steps[^1].Title);
        Assert.True(Source is { Running: true, Token: { IsHere: true, IsFenced: false } });
        Assert.Equal(ProtectionState.Protected, await _lab.StateAsync("web1"));
    }

    [Fact]
    public async Task A_guest_waited_for_over_a_restart_of_the_vault_can_be_powered_off_after_it()
    {
        _alpha.IgnoresShutdown = true;
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        await _lab.UntilAsync(job.Id, state => state.Wait == JobWait.Action);
        await _lab.StopVaultAsync();
        await _lab.StartVaultAsync();
        await _lab.Client.CompleteJobAsync(job.Id, new JobCompleteDto(null, PowerOff: true, "POWER OFF"), Ct);

        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job.Id)).State);
    }

    [Fact]
    public async Task A_failure_before_the_offer_is_undone_and_the_retry_begins_again()
    {
        bool broken = true;
        _alpha.Before["source.lastChange"] = _ => broken ? throw new StorageException(FaultKind.Full, "/spool", "no space left", "Free space.") : Task.CompletedTask;
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        JobDto failed = await _lab.EndOfAsync(job.Id);

        Assert.Equal((JobState.Failed, "no-space"), (failed.State, failed.Error?.Code));
        Assert.True(Source is { Running: true, Token: { IsHere: true, IsFenced: false } });
        Assert.Equal(ProtectionState.Protected, await _lab.StateAsync("web1"));

        broken = false;
        await _lab.Client.RetryJobAsync(job.Id, Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Equal(8, ended.Steps.Count);
        Assert.All(ended.Steps, step => Assert.Equal(2, step.Attempt));
        Assert.True(Target.Token.IsHere);
    }

    /// <summary>Its transfer was settled since: offered by that number again, the VM would be taken by nobody.</summary>
    [Fact]
    public async Task A_move_that_failed_is_not_retried_once_another_was_ordered()
    {
        bool broken = true;
        _alpha.Before["source.lastChange"] = _ => broken ? throw new StorageException(FaultKind.Full, "/spool", "no space left", "Free space.") : Task.CompletedTask;
        JobDto first = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Planned, Ct)).Id);
        broken = false;
        JobDto second = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Planned, Ct)).Id);
        Assert.Equal((JobState.Failed, JobState.Succeeded), (first.State, second.State));

        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.RetryJobAsync(first.Id, Ct));

        Assert.Equal("job-outdated", refused.Error.Code);
        Assert.Contains($"Job {second.Id} ", refused.Error.Why, StringComparison.Ordinal);
        Assert.True(Target.Token.IsHere && !Source.Token.IsHere);
    }

    [Fact]
    public async Task A_target_that_cannot_start_it_refuses_it_for_good_and_the_source_takes_it_back()
    {
        bool broken = true;
        _beta.Before["failover.start"] = _ => broken ? throw new ErrorException(Errors.NoMemory("beta", 2, 1)) : Task.CompletedTask;
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        JobDto failed = await _lab.EndOfAsync(job.Id);

        Assert.Equal((JobState.Failed, "no-memory"), (failed.State, failed.Error?.Code));
        Assert.Equal(["undo: take the offer back", "undo: open the fence at the source"], failed.Steps.TakeLast(2).Select(step => step.Title));
        Assert.Single(Target.Token.Record.Refused);
        Assert.True(Source is { Running: true, Token: { IsHere: true, IsFenced: false } });
        Assert.Equal(ProtectionState.Protected, await _lab.StateAsync("web1"));

        broken = false;
        await _lab.Client.RetryJobAsync(job.Id, Ct);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job.Id)).State); // under another transfer: the first one is never accepted
        Assert.True(Target.Token.IsHere);
    }

    [Fact]
    public async Task A_vm_in_transit_to_a_dead_target_stays_in_transit_until_the_target_is_back()
    {
        await ShortPatienceAsync();
        _alpha.After["source.offer"] = async _ => await _beta.StopAsync();
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        JobDto failed = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Failed, failed.State);
        Assert.Equal("token-in-transit", failed.Steps.Single(step => step.Title == "undo: take the offer back").Error?.Code);
        Assert.False(Source.Running);
        Assert.Equal(ProtectionState.FailingOver, await _lab.StateAsync("web1"));

        _alpha.After.Clear();
        await _beta.RestartAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Online);
        Assert.Equal(ProtectionState.FailingOver, await _lab.StateAsync("web1"));
        await _lab.Client.RetryJobAsync(job.Id, Ct);

        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job.Id)).State);
        Assert.Equal(1, _alpha.Done.Count(done => done.Method == "source.offer")); // forward, with the offer that stands
        Assert.True(Target.Token.IsHere && !Source.Token.IsHere);
    }

    [Fact]
    public async Task A_target_that_took_the_vm_and_then_failed_keeps_it_and_the_retry_goes_forward()
    {
        bool broken = true;
        _beta.After["failover.start"] = _ => broken ? throw new ErrorException(Errors.Internal("the answer was lost")) : Task.CompletedTask;
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        JobDto failed = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Failed, failed.State);
        Assert.Equal("transfer-accepted", failed.Steps[^1].Error?.Code);
        Assert.False(Source.Running);
        Assert.Equal(ProtectionState.CommitPending, await _lab.StateAsync("web1"));

        broken = false;
        await _lab.Client.RetryJobAsync(job.Id, Ct);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job.Id)).State);
        Assert.False(Source.Token.IsHere);
    }

    [Fact]
    public async Task A_source_that_dies_after_the_offer_hears_of_the_hand_over_when_it_returns()
    {
        _beta.After["failover.start"] = async _ => await _alpha.StopAsync();
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Contains("hears it when it comes back", ended.Steps[^1].Detail, StringComparison.Ordinal);

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(_alpha.Done.Any(done => done.Method == "source.handedOver")));
        await Lab.UntilAsync(() => Task.FromResult(!Source.Token.IsHere && Source.Token.Report().State == OwnershipState.Elsewhere));
    }

    [Fact]
    public async Task What_can_be_known_before_is_not_found_out_with_the_guest_off()
    {
        _beta.Networks.Clear(); // not told to the vault: it asks
        JobDto job = await _lab.Client.FailoverAsync("web1", Planned, Ct);
        JobDto failed = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Failed, failed.State);
        Assert.True(Source is { Running: true, Token.IsFenced: false });
        Assert.DoesNotContain(_alpha.Done, done => done.Method == "source.fence");
    }

    private async Task ShortPatienceAsync()
    {
        await _lab.StopVaultAsync();
        _lab.HostReturnLimit = TimeSpan.FromSeconds(2);
        await _lab.StartVaultAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Online && (await _lab.Client.GetHostAsync("alpha", Ct)).Online);
    }

    private static async Task RefusedAsync(string code, Func<Task> ask) =>
        Assert.Equal(code, (await Assert.ThrowsAsync<ErrorException>(ask)).Error.Code);
}
