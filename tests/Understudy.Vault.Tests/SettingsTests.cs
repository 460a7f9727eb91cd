using Microsoft.EntityFrameworkCore;
using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>Settings in every state (CFG-14), and what policies do by themselves.</summary>
public sealed class SettingsTests : IAsyncLifetime
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
    public async Task Every_setting_is_changed_at_once_and_the_job_says_what()
    {
        _beta.Networks.Add(new HostNetwork("dmz", true, false, null));
        await _beta.RestartAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Networks.Count == 2);
        JobDto ended = await SetAsync(new VmSetDto(
            "every-30s", "web1-dr", [new NicChoiceDto("52:54:00:00:00:01", "dmz", null, "52:54:00:00:00:99")], 4, 2L << 30, ["vdb"]));

        Assert.Equal("web1 (settings)", ended.Name);
        Assert.Contains("policy every-30s, name web1-dr, CPUs 4, memory 2.0 GiB, without disks vdb, NIC 52:54:00:00:00:01 on dmz as 52:54:00:00:00:99", ended.Steps[0].Detail, StringComparison.Ordinal);
        Assert.Equal((TimeSpan.FromSeconds(30), "vdb"), (Source.Settings.Frequency, Assert.Single(Source.Excluded)));
        ProtectionDto protection = Assert.IsType<ProtectionDto>((await _lab.Client.GetVmAsync("web1", Ct)).Protection);
        Assert.Equal(("every-30s", "web1-dr", 4, 2L << 30), (protection.Policy, protection.TargetName, protection.Cpus, protection.MemoryBytes));

        await _lab.FailOverAsync("web1");
        Assert.Equal("web1-dr", Target.Failover?.VmName);
    }

    [Fact]
    public async Task A_host_that_is_away_takes_the_change_up_when_it_returns_and_the_job_names_it()
    {
        await _alpha.StopAsync();
        _lab.Time.Advance(TimeSpan.FromMinutes(1));
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        JobDto ended = await SetAsync(new VmSetDto("every-30s", ExcludedDisks: ["vdb"]));
        Assert.Contains(ended.Made, line => line.Contains("alpha is not connected: it takes the change up", StringComparison.Ordinal));

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(Source.Settings.Frequency == TimeSpan.FromSeconds(30) && Source.Excluded.Count == 1));
    }

    [Fact]
    public async Task Settings_are_changed_while_a_failover_waits_for_its_commit_and_while_another_job_has_the_vm()
    {
        _alpha.IgnoresShutdown = true;
        JobDto failover = await _lab.Client.FailoverAsync("web1", new FailoverDto(false, null, null), Ct);
        await _lab.UntilAsync(failover.Id, job => job.Wait == JobWait.Action);
        await SetAsync(new VmSetDto(Cpus: 8));
        _alpha.IgnoresShutdown = false;
        await _lab.Client.CompleteJobAsync(failover.Id, new JobCompleteDto(null), Ct);
        await _lab.EndOfAsync(failover.Id);
        await SetAsync(new VmSetDto("every-5min"));

        Assert.Equal(("every-5min", 8), ((await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Policy, (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Cpus));
    }

    [Theory]
    [InlineData("{ \"name\": \"no_underscores\" }", "name-unlawful")]
    [InlineData("{ \"policy\": \"nightly\" }", "policy-unknown")]
    [InlineData("{ \"excludedDisks\": [\"vdz\"] }", "value-unusable")]
    [InlineData("{ \"excludedDisks\": [\"vda\", \"vdb\"] }", "value-unusable")]
    [InlineData("{ \"cpus\": -1 }", "value-unusable")]
    [InlineData("{ \"memoryBytes\": 1000 }", "value-unusable")]
    [InlineData("{ \"nics\": [{ \"mac\": \"52:54:00:00:00:77\", \"network\": \"default\" }] }", "value-unusable")]
    [InlineData("{ \"nics\": [{ \"mac\": \"52:54:00:00:00:01\", \"network\": \"nowhere\" }] }", "network-unknown")]
    [InlineData("{}", "value-missing")]
    public async Task A_setting_that_makes_no_sense_is_refused_and_nothing_is_changed(string body, string code)
    {
        using HttpClient http = _lab.Http();
        using StringContent content = new(body, System.Text.Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await http.PatchAsync("api/v1/vms/web1", content, Ct);

        Assert.Contains($"\"code\":\"{code}\"", await response.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        Assert.Equal("web1", (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.TargetName);
    }

    /// <summary>Nothing but the vault knows that it owes it, and a host may stay connected for weeks.</summary>
    [Fact]
    public async Task What_a_host_could_not_be_told_is_told_later_without_a_new_connection()
    {
        await using (VaultDb db = _lab.OpenDatabase())
        {
            await db.Database.ExecuteSqlRawAsync("CREATE TRIGGER stumble BEFORE INSERT ON events WHEN NEW.Kind = 'settings-refused' BEGIN SELECT RAISE(ABORT, 'the disk is full'); END", Ct);
        }

        TaskCompletionSource refused = new();
        _alpha.Before["source.configure"] = _ =>
        {
            _alpha.Before.TryRemove("source.configure", out Func<CancellationToken, Task>? _);
            refused.TrySetResult();
            throw new ErrorException(Errors.Internal("not now"));
        };
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { Frequency = "45s" }, Ct);
        await refused.Task;

        await Lab.UntilAsync(() => Task.FromResult(Source.Settings.Frequency == TimeSpan.FromSeconds(45)));
    }

    [Fact]
    public async Task Two_changes_at_once_are_both_kept()
    {
        for (int round = 1; round <= 10; round++)
        {
            await Task.WhenAll(SetAsync(new VmSetDto(Name: $"web1-{round}")), SetAsync(new VmSetDto(Cpus: round + 2)));
            ProtectionDto protection = Assert.IsType<ProtectionDto>((await _lab.Client.GetVmAsync("web1", Ct)).Protection);
            Assert.Equal(($"web1-{round}", round + 2), (protection.TargetName, protection.Cpus));
        }
    }

    [Fact]
    public async Task A_failover_is_committed_by_itself_when_its_countdown_runs_out_also_over_a_restart()
    {
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { CommitAfter = "30min" }, Ct);
        await _lab.FailOverAsync("web1");
        ProtectionDto pending = Assert.IsType<ProtectionDto>((await _lab.Client.GetVmAsync("web1", Ct)).Protection);
        Assert.Equal((ProtectionWait.Countdown, "commit"), (pending.Wait, pending.Countdown?.Does));
        Assert.InRange(pending.Countdown!.SecondsLeft, 1700, 1800); // set, as just seen

        await _lab.StopVaultAsync();
        _lab.Time.Advance(TimeSpan.FromMinutes(31));
        await _lab.StartVaultAsync();
        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == ProtectionState.FailedOver);
        JobDto job = (await _lab.Client.ListJobsAsync(10, Ct)).First(job => job.Action == JobAction.Commit);
        Assert.Equal("policy every-15s", job.RequestedBy);
        await Lab.UntilAsync(() => _lab.HasEventAsync("countdown-over"));
    }

    /// <summary>A machine that starts with its clock ahead is corrected a minute later; what is committed stays so.</summary>
    [Fact]
    public async Task A_clock_that_is_wrong_for_a_moment_commits_nothing()
    {
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { CommitAfter = "30min" }, Ct);
        await _lab.FailOverAsync("web1");
        await _lab.StopVaultAsync();
        _lab.ClockPatience = TimeSpan.FromMinutes(5);
        _lab.Time.Advance(TimeSpan.FromMinutes(31));
        await _lab.StartVaultAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Online);
        await Task.Delay(TimeSpan.FromSeconds(5), Ct); // two looks of the clock, as below
        _lab.Time.Advance(-TimeSpan.FromMinutes(31));

        Assert.DoesNotContain(await _lab.Client.ListJobsAsync(10, Ct), job => job.Action == JobAction.Commit);
        Assert.Equal(ProtectionWait.Countdown, (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Wait);
    }

    [Fact]
    public async Task A_bookmark_of_a_clock_that_was_ahead_keeps_no_later_one_from_being_made()
    {
        DateTimeOffset soon = _lab.Time.GetUtcNow().AddMinutes(1);
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { Bookmarks = soon.ToString("HH:mm", null) }, Ct);
        _lab.Time.Advance(TimeSpan.FromDays(1) + TimeSpan.FromMinutes(2));
        await Lab.UntilAsync(() => Task.FromResult(Target.Points.Count(point => point.Kind == PointKind.Bookmark) == 1));
        _lab.Time.Advance(-TimeSpan.FromDays(1));

        await Lab.UntilAsync(() => Task.FromResult(Target.Points.Count(point => point.Kind == PointKind.Bookmark) == 2));
    }

    [Fact]
    public async Task A_planned_failover_is_cancelled_by_itself_and_the_vm_runs_at_its_source_again()
    {
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { CancelAfter = "10min" }, Ct);
        await _lab.FailOverAsync("web1");
        _lab.Time.Advance(TimeSpan.FromMinutes(11));

        await Lab.UntilAsync(() => Task.FromResult(Source is { Running: true, Token.IsHere: true }));
    }

    [Fact]
    public async Task A_countdown_does_not_end_a_vm_at_its_target_while_the_source_is_away()
    {
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { CancelAfter = "10min" }, Ct);
        await _lab.FailOverAsync("web1");
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        _lab.Time.Advance(TimeSpan.FromMinutes(11));
        await Task.Delay(TimeSpan.FromSeconds(5), Ct); // two looks of the clock, as below
        Assert.DoesNotContain(await _lab.Client.ListJobsAsync(10, Ct), job => job.Action == JobAction.Cancel);

        await _alpha.RestartAsync();
        await Lab.UntilAsync(() => Task.FromResult(Source is { Running: true, Token.IsHere: true }));
    }

    [Fact]
    public async Task A_countdown_that_could_not_be_carried_out_is_left_to_people()
    {
        _beta.Before["commit"] = _ => throw new ErrorException(Errors.Internal("no"));
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { CommitAfter = "1min" }, Ct);
        await _lab.FailOverAsync("web1");
        _lab.Time.Advance(TimeSpan.FromMinutes(2));
        await Lab.UntilAsync(async () => (await _lab.Client.ListJobsAsync(10, Ct)).Any(job => job is { Action: JobAction.Commit, State: JobState.Failed }));
        _lab.Time.Advance(TimeSpan.FromMinutes(2));
        await Task.Delay(TimeSpan.FromSeconds(5), Ct); // two looks of the clock: there is nothing to wait for when nothing is to happen

        Assert.Single(await _lab.Client.ListJobsAsync(10, Ct), job => job.Action == JobAction.Commit);
    }

    [Fact]
    public async Task A_timetable_of_bookmarks_marks_a_point_once_for_each_of_its_times()
    {
        DateTimeOffset soon = _lab.Time.GetUtcNow().AddMinutes(1);
        await _lab.Client.SetPolicyAsync("every-15s", new PolicySetDto { Bookmarks = soon.ToString("HH:mm", null) }, Ct);
        _lab.Time.Advance(TimeSpan.FromMinutes(2));

        await Lab.UntilAsync(() => Task.FromResult(Target.Points.Any(point => point.Kind == PointKind.Bookmark)));
        Assert.Equal($"every-15s {soon:yyyy-MM-dd HH:mm}", Target.Points[^1].Label);
        await Task.Delay(TimeSpan.FromSeconds(5), Ct); // as above
        Assert.Single(Target.Points, point => point.Kind == PointKind.Bookmark);
    }

    [Fact]
    public async Task What_is_wrong_with_a_seed_or_a_start_time_is_said_before_there_is_a_job()
    {
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        int jobs = (await _lab.Client.ListJobsAsync(1000, Ct)).Count;
        _beta.SeedError = Errors.SeedInUse("/seeds/web1.qcow2");
        await AssertRefusedAsync("seed-in-use", new SeedDto("vda", "/seeds/web1.qcow2"));
        await AssertRefusedAsync("seed-disk-unknown", new SeedDto("vdz", "/seeds/web1.qcow2"));
        await AssertRefusedAsync("value-unusable", new SeedDto("vda", "seeds/web1.qcow2"));
        Assert.Equal("value-unusable", (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.ProtectAsync(
            "web1", new ProtectDto("beta", null, null, null, StartAt: new DateTimeOffset(2030, 1, 1, 22, 40, 0, TimeSpan.Zero)), Ct))).Error.Code);
        VmVerifyDto verified = await _lab.Client.VerifyVmAsync("web1", new ProtectDto("beta", null, null, null, Seeds: [new SeedDto("vda", "/seeds/web1.qcow2")]), Ct);
        Assert.Contains(verified.Checks, check => check is { Name: "seed", Level: CheckLevel.Error });
        Assert.Equal(jobs, (await _lab.Client.ListJobsAsync(1000, Ct)).Count);
        Assert.Empty(_beta.Replicas);

        async Task AssertRefusedAsync(string code, SeedDto seed) => Assert.Equal(code, (await Assert.ThrowsAsync<ErrorException>(
            () => _lab.Client.ProtectAsync("web1", new ProtectDto("beta", null, null, null, Seeds: [seed]), Ct))).Error.Code);
    }

    [Fact]
    public async Task Protecting_takes_start_time_seeds_excluded_disks_and_the_targets_hardware()
    {
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        await _lab.Client.SetPolicyAsync("nightly", new PolicySetDto { StartTime = "22:30" }, Ct);
        JobDto job = await _lab.Client.ProtectAsync(
            "web1", new ProtectDto("beta", "nightly", null, null, 4, 1L << 30, ["vdb"], null, [new SeedDto("vda", "/seeds/web1.qcow2")]), Ct);
        await Lab.UntilAsync(() => Task.FromResult(_alpha.Sources.Count == 1));
        FakeSource source = _alpha.Sources.Values.Single();

        Assert.Equal((22, 30), (source.Request.StartAt?.Hour, source.Request.StartAt?.Minute));
        Assert.True(source.Request.StartAt > _lab.Time.GetUtcNow());
        Assert.Equal(["vdb"], source.Request.ExcludedDisks);
        FakeReplica replica = _beta.Replicas.Values.Single();
        Assert.Equal(new DiskSeed("vda", "/seeds/web1.qcow2"), Assert.Single(replica.Request.Seeds!)); // asked for
        Assert.Equal("vda", Assert.Single(replica.Request.Disks).TargetDevice);
        Assert.Equal(4, replica.Request.Settings.Recovery?.Cpus);
        await _lab.Client.CancelJobAsync(job.Id, Ct);
    }

    private async Task<JobDto> SetAsync(VmSetDto request)
    {
        JobDto ended = await _lab.EndOfAsync((await _lab.Client.SetVmAsync("web1", request, Ct)).Id);
        Assert.True(ended.State == JobState.Succeeded, ended.Error?.ToString());
        return ended;
    }
}
