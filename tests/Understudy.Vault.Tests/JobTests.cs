using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>Jobs across restarts, lost connections, cancels and retries.</summary>
public sealed class JobTests : IAsyncLifetime
{
    private Lab _lab = null!; // set by InitializeAsync, as the next two
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => (_lab, _alpha, _beta) = await Lab.WithTwoSitesAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task A_vault_that_restarts_in_the_middle_goes_on_at_the_same_step_and_nothing_is_done_twice()
    {
        TaskCompletionSource begun = new();
        TaskCompletionSource release = new();
        _beta.Before["replica.create"] = async stop =>
        {
            begun.TrySetResult();
            await release.Task.WaitAsync(stop);
        };
        JobDto job = await _lab.Client.ProtectAsync("web1", new ProtectDto("beta", "every-15s", null, null), Ct);
        await begun.Task;
        await _lab.StopVaultAsync();
        release.SetResult(); // the agent finishes while nobody listens
        await Lab.UntilAsync(() => Task.FromResult(!_beta.Replicas.IsEmpty));
        await _lab.StartVaultAsync();

        ReplicaId replica = _beta.Replicas.Keys.Single();
        await Lab.UntilAsync(() => Task.FromResult(_alpha.Sources.ContainsKey(replica)));
        _beta.AddPoint(replica, _lab.Time.GetUtcNow());
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Equal(1, _beta.Done.Count(done => done.Method == "replica.create"));
        Assert.All(ended.Steps, step => Assert.Equal((1, StepState.Succeeded), (step.Attempt, step.State)));
    }

    [Fact]
    public async Task A_command_that_fails_of_something_passing_is_given_again_under_another_identity()
    {
        await _lab.ProtectAsync(_beta, "web1");
        int asked = 0;
        _beta.Before["test.start"] = _ => ++asked < 3
            ? throw new UnderstudyException(FaultClass.Transient, "libvirtd does not answer")
            : Task.CompletedTask;

        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
        await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);

        Assert.Equal(3, asked);
        Assert.Equal(1, (await _lab.Client.GetJobAsync(test.Id, Ct)).Steps[0].Attempt);
    }

    [Fact]
    public async Task A_command_that_needs_somebody_is_given_once()
    {
        await _lab.ProtectAsync(_beta, "web1");
        int asked = 0;
        _beta.Before["test.start"] = _ =>
        {
            asked++;
            throw new UnderstudyException(FaultClass.NeedsOperator, "no memory");
        };

        JobDto ended = await _lab.EndOfAsync((await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct)).Id);

        Assert.Equal((JobState.Failed, 1), (ended.State, asked));
    }

    /// <summary>It would wait for a cut that nobody makes any more.</summary>
    [Fact]
    public async Task A_bookmark_that_failed_is_retried_only_where_one_could_be_set()
    {
        await _lab.ProtectAsync(_beta, "web1");
        _alpha.Before["source.cycle"] = _ => throw new UnderstudyException(FaultClass.NeedsOperator, "the guest is off");
        JobDto mark = await _lab.EndOfAsync((await _lab.Client.MarkAsync("web1", new MarkDto("before the update"), Ct)).Id);
        Assert.Equal(JobState.Failed, mark.State);
        _alpha.Before.Clear();
        await _lab.FailOverAsync("web1");

        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.RetryJobAsync(mark.Id, Ct));
        ErrorException anew = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.MarkAsync("web1", new MarkDto("before the update"), Ct));

        Assert.Equal(anew.Error.Code, refused.Error.Code);
        Assert.Equal(JobState.Failed, (await _lab.Client.GetJobAsync(mark.Id, Ct)).State);
    }

    [Fact]
    public async Task A_test_that_waited_over_a_restart_of_the_vault_can_be_completed_after_it()
    {
        await _lab.ProtectAsync(_beta, "web1");
        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
        await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
        await _lab.StopVaultAsync();
        await _lab.StartVaultAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Online);

        Assert.Equal(ProtectionState.TestRunning, (await _lab.Client.GetVmAsync("web1", Ct)).State);
        await _lab.Client.CompleteJobAsync(test.Id, new JobCompleteDto(null), Ct);

        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(test.Id)).State);
        Assert.Empty(_beta.Tests);
    }

    /// <summary>Who gave the word and looks at once would take it for not heard.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_job_that_has_its_answer_is_at_no_moment_shown_as_waiting_for_it(bool cancels)
    {
        await _lab.ProtectAsync(_beta, "web1");
        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
        await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
        await using (VaultDb db = _lab.OpenDatabase())
        {
            await db.Database.ExecuteSqlRawAsync(
                "CREATE TRIGGER unheard BEFORE UPDATE ON jobs WHEN (NEW.Completed OR NEW.CancelRequestedBy IS NOT NULL) AND NEW.State = 'Waiting' "
                + "BEGIN SELECT RAISE(ABORT, 'it waits and has its answer'); END", Ct);
        }

        JobDto answered = cancels ? await _lab.Client.CancelJobAsync(test.Id, Ct) : await _lab.Client.CompleteJobAsync(test.Id, new JobCompleteDto(null), Ct);
        Assert.NotEqual(JobState.Waiting, answered.State);
        Assert.Equal(cancels ? JobState.Cancelled : JobState.Succeeded, (await _lab.EndOfAsync(test.Id)).State);
    }

    [Fact]
    public async Task A_failed_step_is_retried_under_a_new_operation()
    {
        int calls = 0;
        _beta.Before["replica.create"] = _ => ++calls == 1
            ? throw new StorageException(FaultKind.Full, "/replicas", "no space left", "Free space.")
            : Task.CompletedTask;
        JobDto job = await _lab.Client.ProtectAsync("web1", new ProtectDto("beta", "every-15s", null, null), Ct);
        JobDto failed = await _lab.EndOfAsync(job.Id);
        Assert.Equal((JobState.Failed, "no-space"), (failed.State, failed.Error?.Code));
        Assert.Equal(ProtectionState.Preparing, (await _lab.Client.GetVmAsync("web1", Ct)).State);

        await _lab.Client.RetryJobAsync(job.Id, Ct);
        await Lab.UntilAsync(() => Task.FromResult(!_alpha.Sources.IsEmpty));
        _beta.AddPoint(_beta.Replicas.Keys.Single(), _lab.Time.GetUtcNow());
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Equal([1, 2, 2, 2], ended.Steps.Select(step => step.Attempt));
    }

    [Fact]
    public async Task A_protection_that_ended_with_its_first_step_is_there_again_when_the_job_is_retried()
    {
        _alpha.Unreachable = new(new ErrorInfo(ErrorKind.Failed, "peer-unreachable", "no route", "why", "next"), default);
        JobDto first = await FailedAsync();
        JobDto second = await FailedAsync();
        Assert.Equal(ProtectionState.Unprotected, (await _lab.Client.GetVmAsync("web1", Ct)).State);

        _alpha.Unreachable = null;
        await _lab.Client.RetryJobAsync(first.Id, Ct);
        await Lab.UntilAsync(() => Task.FromResult(!_alpha.Sources.IsEmpty));
        _beta.AddPoint(_beta.Replicas.Keys.Single(), _lab.Time.GetUtcNow());

        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(first.Id)).State);
        Assert.Equal("every-15s", (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Policy);
        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.RetryJobAsync(second.Id, Ct));
        Assert.Equal("job-outdated", refused.Error.Code); // The VM has a protection that is not that job's.

        async Task<JobDto> FailedAsync()
        {
            JobDto job = await _lab.Client.ProtectAsync("web1", new ProtectDto("beta", "every-15s", null, null), Ct);
            JobDto failed = await _lab.EndOfAsync(job.Id);
            Assert.Equal((JobState.Failed, "peer-unreachable"), (failed.State, failed.Error?.Code));
            return failed;
        }
    }

    [Fact]
    public async Task A_host_that_goes_away_in_mid_step_is_waited_for()
    {
        await _lab.ProtectAsync(_beta, "web1");
        TaskCompletionSource begun = new();
        TaskCompletionSource release = new();
        _beta.Before["failover.start"] = async stop =>
        {
            begun.TrySetResult();
            await release.Task.WaitAsync(stop);
        };
        JobDto job = await _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "FAILOVER"), Ct);
        await begun.Task;
        await _beta.RestartAsync(() => release.SetResult()); // as a kill: the operation has no outcome
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Succeeded, ended.State);
        (string Method, OperationId? Operation)[] done = [.. _beta.Done.Where(done => done.Method == "failover.start")];
        Assert.Single(done);
        Assert.Equal(ProtectionState.CommitPending, (await _lab.Client.GetVmAsync("web1", Ct)).State);
    }

    [Fact]
    public async Task A_cancelled_test_is_taken_down_and_listed_as_cancelled()
    {
        await _lab.ProtectAsync(_beta, "web1");
        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, "none"), Ct);
        await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
        Assert.False(Assert.Single(_beta.Tests.Values).Isolated);

        await _lab.Client.CancelJobAsync(test.Id, Ct);

        Assert.Equal(JobState.Cancelled, (await _lab.EndOfAsync(test.Id)).State);
        Assert.Empty(_beta.Tests);
        Assert.Equal(ProtectionState.Protected, (await _lab.Client.GetVmAsync("web1", Ct)).State);
    }

    [Fact]
    public async Task A_cancel_reaches_the_agent_in_mid_operation()
    {
        TaskCompletionSource begun = new();
        _beta.Before["replica.create"] = async stop =>
        {
            begun.TrySetResult();
            await Task.Delay(Timeout.Infinite, stop);
        };
        JobDto job = await _lab.Client.ProtectAsync("web1", new ProtectDto("beta", null, null, null), Ct);
        await begun.Task;
        await _lab.Client.CancelJobAsync(job.Id, Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);

        Assert.Equal(JobState.Cancelled, ended.State);
        Assert.Equal(StepState.Cancelled, ended.Steps[1].State);
        Assert.Empty(_beta.Replicas);
    }

    [Fact]
    public async Task A_test_that_does_not_start_leaves_nothing_standing()
    {
        await _lab.ProtectAsync(_beta, "web1");
        _beta.Before["test.start"] = _ => throw new ErrorException(Errors.NameTaken("beta", "web1-test", "web1-test-2"));
        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
        JobDto ended = await _lab.EndOfAsync(test.Id);

        Assert.Equal((JobState.Failed, "name-taken"), (ended.State, ended.Error?.Code));
        Assert.Contains(_beta.Done, done => done.Method == "test.complete");
        Assert.Equal(ProtectionState.Protected, (await _lab.Client.GetVmAsync("web1", Ct)).State);
    }

    [Fact]
    public async Task Unprotecting_does_not_wait_for_a_dead_source_which_is_cleaned_when_it_returns()
    {
        await _lab.ProtectAsync(_beta, "web1");
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        JobDto job = await _lab.Client.UnprotectAsync("web1", false, Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);
        Assert.Equal(JobState.Succeeded, ended.State);
        Assert.Contains(ended.Made, line => line.Contains("alpha is not connected", StringComparison.Ordinal));
        Assert.Single(_alpha.Sources);

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(_alpha.Sources.IsEmpty));
        await Lab.UntilAsync(async () => (await _lab.Client.ListEventsAsync(0, 1000, Ct)).Any(news => news.Kind == "cleaned-up"));
    }

    [Fact]
    public async Task Events_are_listed_from_the_newest_back_or_from_a_number_on()
    {
        await _lab.ProtectAsync(_beta, "web1");
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        IReadOnlyList<EventDto> newest = await _lab.Client.ListEventsAsync(null, 2, Ct);
        IReadOnlyList<EventDto> all = await _lab.Client.ListEventsAsync(0, 1000, Ct); // more may have come meanwhile
        Assert.True(all.Count > 3);

        Assert.Equal(all.Where(e => e.Id <= newest[^1].Id).TakeLast(2).Select(e => e.Id), newest.Select(e => e.Id));
        Assert.Equal(all.Skip(1).Take(2).Select(e => e.Id), (await _lab.Client.ListEventsAsync(all[0].Id, 2, Ct)).Select(e => e.Id));
    }

    [Fact]
    public async Task A_changed_policy_reaches_both_hosts()
    {
        await _lab.ProtectAsync(_beta, "web1");
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { Frequency = "1min", Retention = "2h" }, Ct);

        await Lab.UntilAsync(() => Task.FromResult(_alpha.LastConfigured == "frequency 00:01:00" && _beta.LastConfigured == "retention 02:00:00"));
        Assert.Equal(("1min", 1), ((await _lab.Client.GetPolicyAsync("every-15s", Ct)).Frequency, (await _lab.Client.GetPolicyAsync("every-15s", Ct)).UsedBy));
    }

    [Fact]
    public async Task First_copy_shows_how_far_it_is()
    {
        JobDto job = await _lab.Client.ProtectAsync("web1", new ProtectDto("beta", "every-15s", null, null), Ct);
        await Lab.UntilAsync(() => Task.FromResult(!_alpha.Sources.IsEmpty));
        ReplicaId replica = _beta.Replicas.Keys.Single();
        _alpha.Post(new SourceReport(
            _alpha.Vms[0].Id, replica, SourcePhase.FirstCopy, VmPower.Running, 1L << 30, 4L << 30, 100 << 20, 0, null, null, null, 0, 0, 0, 0, 0, false, null));

        JobDto copying = await _lab.UntilAsync(job.Id, state => state.Steps[3].Progress is > 0);
        ProtectionDto protection = Assert.IsType<ProtectionDto>((await _lab.Client.GetVmAsync("web1", Ct)).Protection);
        Assert.Equal(0.25, copying.Steps[3].Progress);
        Assert.Equal((ProtectionState.FirstCopy, job.Id), (protection.State, protection.Job));
        Assert.Equal(30.72, protection.Copy?.SecondsLeft);
    }

    [Fact]
    public async Task Before_an_unplanned_failover_the_vault_says_what_it_knows_of_the_source()
    {
        await _lab.ProtectAsync(_beta, "web1");
        Assert.Equal(SourceKnowledge.KnownRunning, (await _lab.Client.PreviewFailoverAsync("web1", Ct)).Source);

        _alpha.Vms[0] = _alpha.Vms[0] with { Power = VmPower.Off };
        _alpha.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.PreviewFailoverAsync("web1", Ct)).Source == SourceKnowledge.KnownStopped);

        Assert.Contains("Nothing keeps it from being started there", (await _lab.Client.PreviewFailoverAsync("web1", Ct)).Warnings[0], StringComparison.Ordinal);
        DiscoveredVm gone = _alpha.Vms[0];
        _alpha.Vms.Clear();
        _alpha.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.PreviewFailoverAsync("web1", Ct)).Warnings[0].Contains("alpha had no VM web1", StringComparison.Ordinal));
        _alpha.Vms.Add(gone);

        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.PreviewFailoverAsync("web1", Ct)).Source == SourceKnowledge.Unknown);
        FailoverPreviewDto preview = await _lab.Client.PreviewFailoverAsync("web1", Ct);
        Assert.Contains("may still be running", preview.Warnings[0], StringComparison.Ordinal);
        Assert.NotNull(preview.Latest);
    }

    /// <summary>No guest ends with its libvirtd: what was seen last stands, and that a VM is off is nobody's knowledge.</summary>
    [Fact]
    public async Task A_host_whose_libvirt_does_not_answer_is_not_believed_that_the_VM_is_off_or_gone()
    {
        await _lab.ProtectAsync(_beta, "web1");
        await _alpha.RestartAsync(() => _alpha.HypervisorError = "Connection refused");
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        Assert.Equal(1, (await _lab.Client.GetHostAsync("alpha", Ct)).VmCount);
        Assert.Equal(SourceKnowledge.KnownRunning, (await _lab.Client.PreviewFailoverAsync("web1", Ct)).Source);

        _alpha.Vms[0] = _alpha.Vms[0] with { Power = VmPower.Off };
        await _alpha.RestartAsync(() => _alpha.HypervisorError = null);
        await Lab.UntilAsync(async () => (await _lab.Client.PreviewFailoverAsync("web1", Ct)).Source == SourceKnowledge.KnownStopped);
        _alpha.HypervisorError = "Connection refused";
        FailoverPreviewDto preview = await _lab.Client.PreviewFailoverAsync("web1", Ct);
        Assert.Equal(SourceKnowledge.Unknown, preview.Source);
        Assert.Contains("alpha cannot say whether web1 runs: libvirt there does not answer (Connection refused)", preview.Warnings[0], StringComparison.Ordinal);
    }
}
