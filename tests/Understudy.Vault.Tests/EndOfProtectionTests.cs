using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Protection.Ownership;

namespace Understudy.Vault.Tests;

/// <summary>What was asked for is no warning: a protection that ends says so once, whatever its hosts still send meanwhile.</summary>
public sealed class EndOfProtectionTests : IAsyncLifetime
{
    private Lab _lab = null!; // set by InitializeAsync, as the next three
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;
    private ReplicaId _replica;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        (_lab, _alpha, _beta) = await Lab.WithTwoSitesAsync();
        _replica = await _lab.ProtectAsync(_beta, "web1");
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task Late_reports_and_a_target_that_refuses_meanwhile_raise_nothing()
    {
        FakeReplica held = _beta.Replicas[_replica];
        FakeSource source = _alpha.Sources[_replica];
        ErrorInfo refused = new(ErrorKind.Failed, "source-retrying", "the other side refused", "It is being opened anew.", "Wait.");
        _beta.After["target.unprotect"] = async ct =>
        {
            _alpha.Post(_alpha.ReportOf(source) with { Error = refused });
            await ArrivedAsync(ct);
        };

        JobDto job = await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        _beta.Post(held);
        _alpha.Post(source);
        await ArrivedAsync(Ct);

        Assert.Equal(JobState.Succeeded, job.State);
        Assert.DoesNotContain(await _lab.Client.ListEventsAsync(0, 1000, Ct), news => news.Kind is "replica-unknown" or "replication-stopped" or "settings-refused");
    }

    [Fact]
    public async Task A_replica_that_nobody_knows_is_told_of_when_its_end_is_long_over()
    {
        FakeReplica held = _beta.Replicas[_replica];
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        _lab.Time.Advance(TimeSpan.FromMinutes(2));

        _beta.Post(held);

        await Lab.UntilAsync(() => _lab.HasEventAsync("replica-unknown"));
    }

    /// <summary>The end of a protection that came to nothing was the end of another thing: where the VM stays now is asked for anew.</summary>
    [Fact]
    public async Task An_end_that_has_done_nothing_is_not_retried_once_the_VM_is_at_its_target()
    {
        bool broken = true;
        _beta.Before["target.unprotect"] = _ => broken ? throw new StorageException(FaultKind.Full, "/replicas", "no space left", "Free space.") : Task.CompletedTask;
        JobDto end = await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        Assert.Equal(JobState.Failed, end.State);
        broken = false;
        RecoveryPointInfo point = _beta.AddPoint(_replica, _lab.Time.GetUtcNow());
        await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", new FailoverDto(true, point.Id.ToString(), Confirmation.Failover), Ct)).Id);
        await _lab.EndOfAsync((await _lab.Client.CommitAsync("web1", Ct)).Id);

        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.RetryJobAsync(end.Id, Ct));

        Assert.Equal("job-outdated", refused.Error.Code);
        Assert.NotEmpty(_beta.Replicas);
        JobDto stays = await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct)).Id);
        Assert.Equal(JobState.Succeeded, stays.State);
    }

    [Fact]
    public async Task An_end_that_has_done_nothing_is_retried_where_nothing_has_changed()
    {
        bool broken = true;
        _beta.Before["target.unprotect"] = _ => broken ? throw new StorageException(FaultKind.Full, "/replicas", "no space left", "Free space.") : Task.CompletedTask;
        JobDto end = await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        broken = false;

        await _lab.Client.RetryJobAsync(end.Id, Ct);

        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(end.Id)).State);
    }

    /// <summary>The old disks were listed before the source said that it has the VM again. They are no old disks, and the VM may be protected anew.</summary>
    [Fact]
    public async Task A_VM_that_was_claimed_at_its_source_leaves_no_old_disks_in_the_list()
    {
        FakeSource source = _alpha.Sources[_replica];
        FakeReplica held = _beta.Replicas[_replica];
        RecoveryPointId parent = held.Points[^1].Id;
        await _lab.FailOverAsync("web1");
        await _lab.EndOfAsync((await _lab.Client.CommitAsync("web1", Ct)).Id);
        bool claimed = true;
        _alpha.Before["source.unprotect"] = _ => claimed ? throw new ErrorException(Errors.TokenInTransit("web1", "beta")) : Task.CompletedTask;
        Assert.Equal(JobState.Failed, (await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct)).Id)).State);
        OwnershipMessage.Claim claim = new(LineSteps.Claim(source.Token.Record.Line, 7), parent);
        source.Token.Take(claim);
        held.Token.Take(new OwnershipMessage.Learn(claim.Line, _lab.Time.GetUtcNow(), _lab.Time.GetUtcNow()));
        _alpha.Post(source);
        _beta.Post(held);
        await ArrivedAsync(Ct);
        claimed = false;

        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: false, Ct)).Id)).State);

        ErrorException nothing = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.ListPointsAsync("web1", Ct)); // not even old disks
        Assert.Equal("vm-not-protected", nothing.Error.Code);
    }

    /// <summary>Two words of people that say the opposite: neither can be taken back by the vault, so the end is one at both sides, and is told.</summary>
    [Fact]
    public async Task A_source_that_was_claimed_while_it_was_away_ends_as_well_and_a_person_is_told_of_the_two()
    {
        FakeSource source = _alpha.Sources[_replica];
        RecoveryPointId parent = _beta.Replicas[_replica].Points[^1].Id;
        await _lab.FailOverAsync("web1");
        await _lab.EndOfAsync((await _lab.Client.CommitAsync("web1", Ct)).Id);
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct)).Id)).State);

        await _alpha.RestartAsync(() => source.Token.Take(new OwnershipMessage.Claim(LineSteps.Claim(source.Token.Record.Line, 7), parent)));
        await Lab.UntilAsync(() => _lab.HasEventAsync("cleaned-up"));

        EventDto told = Assert.Single(await _lab.Client.ListEventsAsync(0, 1000, Ct), news => news.Kind == "two-owners");
        Assert.Equal(HealthLevel.Critical, told.Severity);
        Assert.DoesNotContain(_replica, _alpha.Sources.Keys);
        Assert.DoesNotContain(_replica, _alpha.Retired.Keys);
        ErrorException nothing = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.ListPointsAsync("web1", Ct)); // no old disks either
        Assert.Equal("vm-not-protected", nothing.Error.Code);
    }

    /// <summary>Failed over at the target, by hand and out of the vault's sight, while its protection ended: nobody but a person there can settle it.</summary>
    [Fact]
    public async Task A_target_that_had_taken_the_VM_while_it_was_away_is_told_of_once_and_asked_again_each_hour()
    {
        await _beta.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("beta", Ct)).Online);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: false, Ct)).Id)).State);
        bool stands = true;
        int asked = 0;
        _beta.Before["target.unprotect"] = _ =>
        {
            asked++;
            return stands ? throw new ErrorException(Errors.OldDisksNeeded("web1")) : Task.CompletedTask; // not-committed
        };

        await _beta.RestartAsync(() => { });
        await Lab.UntilAsync(() => _lab.HasEventAsync("two-owners"));
        await _beta.RestartAsync(() => { });
        await Lab.UntilAsync(() => Task.FromResult(asked >= 2));
        EventDto told = Assert.Single(await _lab.Client.ListEventsAsync(0, 1000, Ct), news => news.Kind == "two-owners");
        Assert.Equal(HealthLevel.Critical, told.Severity);

        stands = false;
        _lab.Time.Advance(TimeSpan.FromMinutes(61));
        await Lab.UntilAsync(() => _lab.HasEventAsync("cleaned-up"));
        Assert.Empty(_beta.Replicas);
    }

    /// <summary>Nothing is refused then, and without a word of it a VM would stand at both sides.</summary>
    [Fact]
    public async Task A_target_at_which_the_VM_was_committed_while_it_was_away_ends_and_a_person_is_told_of_the_two()
    {
        await _beta.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("beta", Ct)).Online);
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: false, Ct)).Id);
        _beta.VmStays = true;

        await _beta.RestartAsync(() => { });
        await Lab.UntilAsync(() => _lab.HasEventAsync("cleaned-up"));

        Assert.Equal(HealthLevel.Critical, Assert.Single(await _lab.Client.ListEventsAsync(0, 1000, Ct), news => news.Kind == "two-owners").Severity);
    }

    [Fact]
    public async Task An_end_says_where_the_VM_stays()
    {
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: false, Ct)).Id);
        Assert.True(_beta.LastUnprotected!.AtSource);
        _replica = await _lab.ProtectAsync(_beta, "web1");
        await _lab.FailOverAsync("web1");
        await _lab.EndOfAsync((await _lab.Client.CommitAsync("web1", Ct)).Id);
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct)).Id);
        Assert.False(_beta.LastUnprotected!.AtSource);
    }

    /// <summary>What both have posted so far has been taken in: news of one connection keep their order.</summary>
    private async Task ArrivedAsync(CancellationToken cancellationToken)
    {
        foreach (FakeAgent agent in new[] { _alpha, _beta })
        {
            string marker = $"marker-{Guid.NewGuid():N}";
            agent.Say(marker);
            await Lab.UntilAsync(async () => (await _lab.Client.ListEventsAsync(0, 1000, cancellationToken)).Any(news => news.Kind == marker));
        }
    }
}
