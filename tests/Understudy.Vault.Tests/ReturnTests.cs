using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Ownership;
using OwnershipState = Understudy.Model.OwnershipState;

namespace Understudy.Vault.Tests;

/// <summary>After a failover: another point, home again, and what happens with a source that was away (FO-3, PRE-5, FO-8).</summary>
public sealed class ReturnTests : IAsyncLifetime
{
    private static readonly FailoverDto Unplanned = new(true, null, "FAILOVER");

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
    public async Task A_planned_failover_is_cancelled_and_the_vm_runs_at_its_source_with_what_ran_kept_as_a_branch()
    {
        await _lab.FailOverAsync("web1");
        JobDto job = await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.True(Source is { Running: true, Token: { IsHere: true, IsFenced: false } });
        Assert.Equal(Source.Token.Record.Line, Target.Token.Record.Line);
        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == ProtectionState.Protected);
        BranchDto branch = Assert.Single(await _lab.Client.ListBranchesAsync("web1", Ct));
        Assert.Equal((BranchKind.CancelledFailover, "beta"), (branch.Kind, branch.Host));
        Assert.StartsWith("cancelled-", branch.Name, StringComparison.Ordinal);
        Assert.NotNull(branch.ExpiresAt);
    }

    [Fact]
    public async Task A_cancel_leaves_a_vm_off_that_was_off_before()
    {
        _alpha.Vms[0] = _alpha.Vms[0] with { Power = VmPower.Off };
        Source.Running = false;
        _alpha.PostInventory();
        _alpha.Post(Source);
        await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Power == VmPower.Off);
        await _lab.FailOverAsync("web1");
        await _lab.EndOfAsync((await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct)).Id);

        Assert.True(Source is { Running: false, Token.IsHere: true });
    }

    [Fact]
    public async Task A_cancel_with_the_source_away_waits_in_transit_and_the_source_takes_the_vm_when_it_returns()
    {
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);
        await OldEnoughAsync();
        ErrorException unsaid = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct));
        Assert.Equal("source-away", unsaid.Error.Code);
        JobDto job = await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(Confirmation.Offline), Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Contains("takes the VM when it comes back", ended.Steps[1].Detail, StringComparison.Ordinal);
        Assert.Equal(ProtectionState.Protected, await _lab.StateAsync("web1"));

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(Source is { Running: true, Token.IsHere: true } && Target.Token.Report().State == OwnershipState.Elsewhere));
        Assert.Equal(Target.Token.Record.Line, Source.Token.Record.Line);
    }

    [Fact]
    public async Task While_it_waits_in_transit_another_unplanned_failover_takes_it_again()
    {
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);
        await OldEnoughAsync();
        await _lab.EndOfAsync((await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(Confirmation.Offline), Ct)).Id);
        JobDto again = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);

        Assert.Equal(JobState.Succeeded, again.State);
        Assert.Equal(4u, Target.Token.Record.Line.Counter);
        Assert.True(Target.Token.IsHere);
    }

    [Fact]
    public async Task A_source_that_still_ran_is_told_at_once_and_an_event_says_how_long_both_copies_ran()
    {
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);

        await Lab.UntilAsync(() => Task.FromResult(Source is { Running: false, Deposed.Action: IsolatedSourceAction.Pause }));
        await Lab.UntilAsync(() => _lab.HasEventAsync("source-deposed"));
        EventDto news = (await _lab.Client.ListEventsAsync(0, 1000, Ct)).Single(candidate => candidate.Kind == "source-deposed");
        Assert.Equal(HealthLevel.Critical, news.Severity);
        Assert.Contains("Both copies ran for at most", news.Text, StringComparison.Ordinal);
        await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Branches is [{ Kind: BranchKind.DeposedSource, ExpiresAt: null, Host: "alpha" }]);
    }

    [Fact]
    public async Task A_source_that_was_cut_off_is_deposed_when_it_comes_back_by_its_policys_word()
    {
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { IsolatedSource = "cut NICs" }, Ct);
        await _alpha.StopAsync();
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);
        Assert.DoesNotContain(_alpha.Done, done => done.Method == "source.depose");

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(Source.Deposed?.Action == IsolatedSourceAction.CutNics));
    }

    [Fact]
    public async Task A_source_that_was_cut_off_is_deposed_also_while_the_agent_of_the_owner_is_away()
    {
        await _alpha.StopAsync();
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);
        await _beta.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("beta", Ct)).Online);

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(Source is { Running: false, Deposed: not null }));
    }

    [Fact]
    public async Task A_source_that_could_not_take_it_is_told_again_although_it_reports_nothing_new()
    {
        DateTimeOffset? first = null; // until some seconds after it: every report of the failover has come by then
        _alpha.Before["source.depose"] = _ => TimeProvider.System.GetUtcNow() < (first ??= TimeProvider.System.GetUtcNow()) + TimeSpan.FromSeconds(4)
            ? throw new UnderstudyException(FaultClass.NeedsOperator, "its disk is full")
            : Task.CompletedTask;
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);

        await Lab.UntilAsync(() => Task.FromResult(Source.Deposed is not null));
        Assert.NotNull(first);
    }

    [Fact]
    public async Task A_source_that_has_booted_is_told_whether_the_vm_still_is_its_own()
    {
        await _alpha.RestartAsync(() => Source.Token.Boot = "boot-2");

        await Lab.UntilAsync(() => Task.FromResult(Source.Token.Report().Validated));
        Assert.Contains(_alpha.Done, done => done.Method == "source.revalidate");
    }

    [Fact]
    public async Task Nobody_answers_a_source_that_has_booted_while_its_target_is_away()
    {
        await _beta.StopAsync();
        await _alpha.RestartAsync(() => Source.Token.Boot = "boot-2");
        await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Protection!.Health.Reasons.Any(reason => reason.Reason.Contains("has booted", StringComparison.Ordinal))); // protected
        Assert.DoesNotContain(_alpha.Done, done => done.Method == "source.revalidate");

        await _beta.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(Source.Token.Report().Validated));
    }

    [Fact]
    public async Task A_target_that_has_booted_is_told_that_the_vm_still_is_its_own_also_when_its_source_has_burnt()
    {
        await _alpha.StopAsync();
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);
        await _beta.RestartAsync(() => Target.Token.Boot = "boot-2");

        await Lab.UntilAsync(() => Task.FromResult(Target.Token.Report().Validated));
        Assert.Contains(_beta.Done, done => done.Method == "target.revalidate");
        Assert.True(Target.Token.IsHere);
    }

    [Fact]
    public async Task A_target_that_has_booted_is_told_of_a_claim_at_its_source()
    {
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned, Ct)).Id);
        await Lab.UntilAsync(() => Task.FromResult(Source.Deposed is not null));
        await _beta.StopAsync();
        Source.Token.Take(new OwnershipMessage.Claim(LineSteps.Claim(Source.Token.Record.Line, 7), Target.Points[^1].Id));
        _alpha.Post(Source);
        Target.Token.Boot = "boot-2";
        await _beta.RestartAsync();

        await Lab.UntilAsync(() => Task.FromResult(!Target.Token.IsHere));
        Assert.Equal(Source.Token.Record.Line, Target.Token.Record.Line);
    }

    [Fact]
    public async Task What_was_done_without_the_vault_is_taken_over_and_said()
    {
        await _lab.StopVaultAsync();
        _beta.FailOverLocally(_replica);
        await _lab.StartVaultAsync();

        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == ProtectionState.CommitPending);
        await Lab.UntilAsync(() => _lab.HasEventAsync("failover-found"));
        await Lab.UntilAsync(() => Task.FromResult(Source.Deposed is not null));
        Assert.Equal(FailoverKind.Unplanned, (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Failover?.Kind);

        await _lab.EndOfAsync((await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct)).Id); // and goes on from there
        Assert.True(Source is { Running: true, Token.IsHere: true });
    }

    [Fact]
    public async Task The_point_is_changed_as_often_as_wanted_and_each_time_what_ran_is_kept()
    {
        RecoveryPointInfo older = Target.Points[0];
        _beta.AddPoint(_replica, _lab.Time.GetUtcNow());
        await _lab.FailOverAsync("web1");
        RecoveryPointId last = Target.Points[^1].Id;
        await _lab.EndOfAsync((await _lab.Client.ChangePointAsync("web1", new ChangePointDto(older.Id.ToString()), Ct)).Id);
        Assert.Equal(older.Id, Target.Failover?.Point);
        await _lab.EndOfAsync((await _lab.Client.ChangePointAsync("web1", new ChangePointDto(last.ToString()), Ct)).Id);

        Assert.Equal(last, Target.Failover?.Point);
        await Lab.UntilAsync(async () => (await _lab.Client.ListBranchesAsync("web1", Ct)).Count(branch => branch.Kind == BranchKind.ChangedPoint) == 2);
        IReadOnlyList<PointDto> points = await _lab.Client.ListPointsAsync("web1", Ct);
        Assert.Contains("runs", points[^1].Marks);
        Assert.Contains(points[0].Marks, mark => mark.StartsWith("branch changed-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_fence_that_an_unplanned_failover_left_behind_is_opened_by_cancelling()
    {
        _beta.Before["failover.start"] = _ => throw new ErrorException(Errors.NoMemory("beta", 2, 1));
        JobDto failed = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned with { ShutDownSource = true }, Ct)).Id);
        Assert.Equal(JobState.Failed, failed.State);
        Assert.True(Source is { Running: false, Token.IsFenced: true }); // the target may have minted its line: nobody opens it by himself
        Assert.Equal(HealthLevel.Critical, (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Health.Level);

        JobDto cancelled = await _lab.EndOfAsync((await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct)).Id);
        Assert.True(cancelled.State == JobState.Succeeded, cancelled.Error?.ToString());
        Assert.True(Source is { Running: true, Token: { IsHere: true, IsFenced: false } });
        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == ProtectionState.Protected);
    }

    [Fact]
    public async Task An_unplanned_failover_that_tries_the_source_first_loses_nothing_when_that_works()
    {
        JobDto ended = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned with { ShutDownSource = true }, Ct)).Id);

        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Equal((PointKind.Planned, Target.Points[^1].Id), (Target.Points[^1].Kind, Target.Failover?.Point));
    }

    [Theory]
    [InlineData("source.fence")]
    [InlineData("source.stopGuest")]
    [InlineData("source.lastChange")]
    public async Task An_unplanned_failover_goes_on_without_what_the_source_refuses(string order)
    {
        _alpha.Before[order] = _ => throw new ErrorException(Errors.Internal("no"));
        JobDto ended = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", Unplanned with { ShutDownSource = true, ShutdownLimit = "5s" }, Ct)).Id);

        Assert.True(ended.State == JobState.Succeeded, ended.Error?.ToString());
        Assert.Contains(ended.Steps, step => step.Detail?.StartsWith("not done:", StringComparison.Ordinal) == true);
        Assert.True(Target.Token.IsHere);
    }

    /// <summary>Its host answers, its disk or its libvirt does not: the handler never comes to an end, whatever it is told. The
    /// vault's clock is the system's here: this takes as long as it waits.</summary>
    [Fact]
    public async Task An_unplanned_failover_goes_on_without_a_source_that_hangs()
    {
        using CancellationTokenSource stuck = new();
        _alpha.Before["source.fence"] = _ => Task.Delay(Timeout.Infinite, stuck.Token);
        JobDto job = await _lab.Client.FailoverAsync("web1", Unplanned with { ShutDownSource = true, ShutdownLimit = "1s" }, Ct);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(TimeSpan.FromMinutes(4));
        while (job.EndedAt is null)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), limit.Token); // a poll with a limit
            job = await _lab.Client.GetJobAsync(job.Id, limit.Token);
        }

        await stuck.CancelAsync();
        Assert.True(job.State == JobState.Succeeded, job.Error?.ToString());
        Assert.Contains(job.Steps, step => step.Detail?.StartsWith("not done: alpha did not answer", StringComparison.Ordinal) == true);
        Assert.True(Target.Token.IsHere);
    }

    /// <summary>Agents have had the time to dial in: who is not there is away.</summary>
    private Task OldEnoughAsync()
    {
        _lab.Time.Advance(TimeSpan.FromMinutes(1));
        return Task.CompletedTask;
    }
}
