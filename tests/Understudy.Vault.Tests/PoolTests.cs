using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>Where replicas are put: storage pools and their map (CFG-6).</summary>
public sealed class PoolTests : IAsyncLifetime
{
    private Lab _lab = null!; // set by InitializeAsync, as the next two
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        (_lab, _alpha, _beta) = await Lab.WithTwoSitesAsync();
        _alpha.Pools.Add(new HostPool("images", "dir", "/images", true, 1L << 40, 1L << 41));
        _beta.Pools.Add(new HostPool("tank", "fs", "/tank", true, 1L << 40, 1L << 41));
        _beta.Pools.Add(new HostPool("small", "dir", "/small", true, 1L << 30, 1L << 31));
        await _alpha.RestartAsync();
        await _beta.RestartAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.ListPoolsAsync(Ct)).Count == 3);
        await Lab.UntilAsync(async () => (await _lab.Client.ListHostsAsync(Ct)).All(host => host.Online)); // their facts are known before they count as connected
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task A_chosen_pool_goes_to_the_target_and_is_shown_and_the_replica_stays_in_it()
    {
        FakeReplica replica = await ProtectAsync("tank");

        Assert.Equal("tank", replica.Request.Pool);
        Assert.Equal("tank", (await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Pool);
        ErrorException stays = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.SetVmAsync("web1", new VmSetDto(Pool: "small"), Ct));
        Assert.Equal("pool-stays", stays.Error.Code);
        Assert.Equal("value-missing", (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.SetVmAsync("web1", new VmSetDto(Pool: "tank"), Ct))).Error.Code);
    }

    [Fact]
    public async Task The_map_chooses_where_nobody_did_and_none_is_the_agents_own_folders()
    {
        await _lab.Client.MapStorageAsync(new MapStorageDto("images", "tank"), Ct);
        Assert.Equal(["tank at berlin"], (await _lab.Client.ListPoolsAsync(Ct)).Single(pool => pool.Name == "images").MappedTo);
        Assert.Equal("tank", (await ProtectAsync(null)).Request.Pool);
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        Assert.Null((await ProtectAsync("none")).Request.Pool);
        await _lab.EndOfAsync((await _lab.Client.UnprotectAsync("web1", false, Ct)).Id);
        await _lab.Client.UnmapStorageAsync("lyon", "images", "berlin", Ct);
        Assert.Null((await ProtectAsync(null)).Request.Pool);
    }

    [Theory]
    [InlineData("nowhere", "pool-unknown")]
    [InlineData("small", "no-space")]
    public async Task A_pool_that_cannot_take_the_replica_is_refused_before_anything_is_made(string pool, string code)
    {
        ErrorException refused = await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.ProtectAsync("web1", new ProtectDto("beta", null, null, null, Pool: pool), Ct));

        Assert.Equal(code, refused.Error.Code);
        Assert.Empty(_beta.Replicas);
    }

    [Fact]
    public async Task A_pool_that_was_started_and_emptied_a_moment_ago_is_not_refused_by_what_was_told_before()
    {
        HostPool small = _beta.Pools.Single(pool => pool.Name == "small");
        _beta.Pools.Remove(small);
        _beta.Pools.Add(small with { FreeBytes = 1L << 40 }); // its agent tells that later
        _beta.Pools.Add(new HostPool("new", "dir", "/new", true, 1L << 40, 1L << 41));

        VmVerifyDto found = await _lab.Client.VerifyVmAsync("web1", new ProtectDto("beta", null, null, null, Pool: "small"), Ct);
        Assert.DoesNotContain(found.Checks, check => check.Level == CheckLevel.Error);
        Assert.Equal("new", (await _lab.Client.MapStorageAsync(new MapStorageDto("images", "new"), Ct)).TargetPool);
        Assert.Equal("small", (await ProtectAsync("small")).Request.Pool);
    }

    [Fact]
    public async Task A_pool_that_was_stopped_a_moment_ago_is_found_before_there_is_a_job()
    {
        _beta.Pools.RemoveAll(pool => pool.Name == "tank");
        _beta.Pools.Add(new HostPool("tank", "fs", "/tank", false, 0, 0));

        VmVerifyDto found = await _lab.Client.VerifyVmAsync("web1", new ProtectDto("beta", null, null, null, Pool: "tank"), Ct);
        Assert.Contains(found.Checks, check => check is { Name: "pool", Level: CheckLevel.Error });
        Assert.Equal("pool-unusable", (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.ProtectAsync("web1", new ProtectDto("beta", null, null, null, Pool: "tank"), Ct))).Error.Code);
        Assert.Empty(await _lab.Client.ListJobsAsync(10, Ct));
    }

    [Theory]
    [InlineData("nowhere", "tank", "pool-unknown")]
    [InlineData("images", "nowhere", "pool-unknown")]
    public async Task A_mapping_of_pools_that_are_not_there_is_refused(string source, string target, string code) =>
        Assert.Equal(code, (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.MapStorageAsync(new MapStorageDto(source, target), Ct))).Error.Code);

    [Fact]
    public async Task A_replica_that_cannot_be_opened_keeps_what_is_known_of_it_and_says_why()
    {
        FakeReplica replica = await ProtectAsync("tank");
        ErrorInfo error = Errors.ReplicaUnavailable("web1", "it is in storage pool tank, and that is not mounted", "Mount it.");
        _beta.Post(new ReplicaUnavailable(replica.Request.Vm, replica.Request.Replica, error));
        await Lab.UntilAsync(async () => (await ProtectionAsync()).Health.Level == HealthLevel.Critical);

        ProtectionDto shown = await ProtectionAsync();
        Assert.Equal((1, ProtectionState.Protected), (shown.PointCount, shown.State));
        Assert.Contains(shown.Health.Reasons, reason => reason.Reason.Contains("not mounted", StringComparison.Ordinal));
        Assert.True(await _lab.HasEventAsync("replica-unavailable"));

        _beta.Post(replica);
        await Lab.UntilAsync(async () => (await ProtectionAsync()).Health.Level == HealthLevel.Normal);
    }

    [Fact]
    public async Task Names_that_lead_to_one_proposal_get_two()
    {
        _alpha.Vms.Add(Lab.Vm("büro.server_1"));
        _alpha.Vms.Add(Lab.Vm("büro_server.1"));
        await _alpha.RestartAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.ListVmsAsync(Ct)).Count == 3);

        Assert.Equal("b-ro-server-1", (await ProtectAsync(null, "büro.server_1")).Request.TargetName);
        Assert.Equal("b-ro-server-1-2", (await ProtectAsync(null, "büro_server.1")).Request.TargetName);
    }

    private async Task<ProtectionDto> ProtectionAsync() => Assert.IsType<ProtectionDto>((await _lab.Client.GetVmAsync("web1", Ct)).Protection);

    private async Task<FakeReplica> ProtectAsync(string? pool, string vm = "web1")
    {
        ReplicaId[] before = [.. _beta.Replicas.Keys];
        JobDto job = await _lab.Client.ProtectAsync(vm, new ProtectDto("beta", null, null, null, Pool: pool), Ct);
        await Lab.UntilAsync(() => Task.FromResult(_beta.Replicas.Keys.Except(before).Any()));
        ReplicaId replica = _beta.Replicas.Keys.Except(before).Single();
        _beta.AddPoint(replica, _lab.Time.GetUtcNow());
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(job.Id)).State);
        return _beta.Replicas[replica];
    }
}
