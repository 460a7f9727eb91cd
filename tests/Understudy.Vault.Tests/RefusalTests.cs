using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>Everything that is refused, tried through the API: the code, and that what, why and next arrive.</summary>
public sealed class RefusalTests : IAsyncLifetime
{
    private Lab _lab = null!; // set by InitializeAsync, as the next two
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => (_lab, _alpha, _beta) = await Lab.WithTwoSitesAsync();

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task Things_that_do_not_exist_are_named()
    {
        await RefusedAsync("vm-unknown", () => _lab.Client.GetVmAsync("web9", Ct));
        await RefusedAsync("vm-unknown", () => _lab.Client.ProtectAsync("web9", To("beta"), Ct));
        await RefusedAsync("host-unknown", () => _lab.Client.GetHostAsync("gamma", Ct));
        await RefusedAsync("host-unknown", () => _lab.Client.ProtectAsync("web1", To("gamma"), Ct));
        await RefusedAsync("site-unknown", () => _lab.Client.MakeKeyAsync("paris", null, Ct));
        await RefusedAsync("policy-unknown", () => _lab.Client.GetPolicyAsync("never", Ct));
        await RefusedAsync("policy-unknown", () => _lab.Client.ProtectAsync("web1", To("beta") with { Policy = "never" }, Ct));
        await RefusedAsync("job-unknown", () => _lab.Client.GetJobAsync(999, Ct));
        await RefusedAsync("job-unknown", async () => await _lab.Client.WatchJobAsync(999, Ct).GetAsyncEnumerator(Ct).MoveNextAsync());
        await RefusedAsync("vm-not-protected", () => _lab.Client.ListPointsAsync("web1", Ct));
        await RefusedAsync("vm-not-protected", () => _lab.Client.CommitAsync("web1", Ct));
        await RefusedAsync("network-unknown", () => _lab.Client.MapNetworkAsync(new MapNetworkDto("dmz", "default", "lyon", "berlin", null), Ct));
    }

    [Fact]
    public async Task A_target_that_cannot_be_is_refused()
    {
        await RefusedAsync("target-is-source", () => _lab.Client.ProtectAsync("web1", To("alpha"), Ct));
        await RefusedAsync("value-missing", () => _lab.Client.ProtectAsync("web1", new ProtectDto("", null, null, null), Ct));
        await _lab.AddAgentAsync("berlin", "gamma");
        await RefusedAsync("target-ambiguous", () => _lab.Client.ProtectAsync("web1", To("berlin"), Ct));
    }

    [Fact]
    public async Task A_taken_name_a_bad_name_and_a_full_pool_are_refused()
    {
        _beta.Vms.Add(Lab.Vm("web1"));
        _beta.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.ListVmsAsync(null, [], Ct)).Count == 2);
        await RefusedAsync("vm-ambiguous", () => _lab.Client.ProtectAsync("web1", To("beta"), Ct));
        string id = _alpha.Vms[0].Id.ToString();
        await RefusedAsync("name-taken", () => _lab.Client.ProtectAsync(id, To("beta"), Ct));
        await RefusedAsync("name-unlawful", () => _lab.Client.ProtectAsync(id, To("beta") with { Name = "web 1" }, Ct));

        FakeAgent small = new("delta") { FreeBytes = 1L << 30 };
        await small.JoinAsync(await _lab.Client.MakeKeyAsync("berlin", null, Ct));
        await small.StartAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("delta", Ct)).Online);
        await RefusedAsync("no-space", () => _lab.Client.ProtectAsync(id, To("delta"), Ct));
        await small.DisposeAsync();
    }

    [Fact]
    public async Task An_unmapped_network_is_refused_and_a_named_one_is_taken()
    {
        await _lab.Client.UnmapNetworkAsync("lyon", "default", "berlin", Ct);
        await RefusedAsync("network-unmapped", () => _lab.Client.ProtectAsync("web1", To("beta"), Ct));
        await RefusedAsync("mapping-unknown", async () =>
        {
            await _lab.Client.UnmapNetworkAsync("lyon", "default", "berlin", Ct);
            return 0;
        });

        VmVerifyDto verified = await _lab.Client.VerifyVmAsync("web1", To("beta") with { Nics = [new NicChoiceDto("52:54:00:00:00:01", "default", null, null)] }, Ct);
        Assert.NotEqual(CheckLevel.Error, verified.Worst);
    }

    [Fact]
    public async Task A_host_that_is_away_or_cannot_be_reached_is_refused()
    {
        AgentError closed = new(new ErrorInfo(ErrorKind.Failed, "peer-unreachable", "beta:7443 does not answer", "Connection refused.", "Open the port."), FaultClass.Transient);
        _alpha.Unreachable = closed;
        JobDto job = await _lab.Client.ProtectAsync("web1", To("beta"), Ct);
        JobDto ended = await _lab.EndOfAsync(job.Id);
        Assert.Equal((JobState.Failed, "peer-unreachable"), (ended.State, ended.Error?.Code));
        Assert.Null((await _lab.Client.GetVmAsync("web1", Ct)).Protection); // nothing was made, so nothing is left

        await _beta.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("beta", Ct)).Online);
        await RefusedAsync("host-offline", () => _lab.Client.ProtectAsync("web1", To("beta"), Ct));
    }

    [Fact]
    public async Task Protecting_twice_and_commands_out_of_turn_are_refused()
    {
        await _lab.ProtectAsync(_beta, "web1");
        await RefusedAsync("vm-already-protected", () => _lab.Client.ProtectAsync("web1", To("beta"), Ct));
        await RefusedAsync("state-refuses", () => _lab.Client.CommitAsync("web1", Ct));
        await RefusedAsync("point-unknown", () => _lab.Client.TestAsync("web1", new TestVmDto("2020-01-01T00:00:00Z", null), Ct));
        await RefusedAsync("point-unknown", () => _lab.Client.ExportPointAsync("web1", "yesterday", new ExportDto("/tmp/x", null), Ct));
        await RefusedAsync("value-unusable", () => _lab.Client.ExportPointAsync("web1", "latest", new ExportDto("/tmp/x", "vhdx"), Ct));
        await RefusedAsync("network-unknown", () => _lab.Client.TestAsync("web1", new TestVmDto(null, "dmz"), Ct));
        await RefusedAsync("in-use", async () =>
        {
            await _lab.Client.RemoveHostAsync("beta", "sold", Ct);
            return 0;
        });
    }

    /// <summary>Whoever ends the named one only to be told of the next looks at them one after the other.</summary>
    [Fact]
    public async Task A_host_that_is_in_use_names_all_who_use_it_up_to_five()
    {
        for (int i = 2; i <= 7; i++)
        {
            _alpha.Vms.Add(Lab.Vm($"web{i}"));
        }

        _alpha.PostInventory();
        await Lab.UntilAsync(async () => (await _lab.Client.ListVmsAsync(Ct)).Count == 7);
        await _lab.ProtectAsync(_beta, "web1");
        await _lab.ProtectAsync(_beta, "web2");
        Assert.Contains("the protection of web1, web2.", (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.RemoveHostAsync("beta", "sold", Ct))).Error.Why, StringComparison.Ordinal);

        for (int i = 3; i <= 7; i++)
        {
            await _lab.ProtectAsync(_beta, $"web{i}");
        }

        Assert.Contains("web1, web2, web3, web4, web5 and 2 more.", (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.RemoveHostAsync("beta", "sold", Ct))).Error.Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failover_takes_its_word_and_nothing_else()
    {
        await _lab.ProtectAsync(_beta, "web1");
        await RefusedAsync("confirmation-wrong", () => _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, null), Ct));
        await RefusedAsync("confirmation-wrong", () => _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "failover"), Ct));
        await RefusedAsync("value-unusable", () => _lab.Client.FailoverAsync("web1", new FailoverDto(false, "2026-11-21T10:00:05Z", "FAILOVER"), Ct));
        await RefusedAsync("value-unusable", () => _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "FAILOVER", ShutdownLimit: "3h"), Ct));
        Assert.DoesNotContain(_beta.Done, done => done.Method == "failover.start");
    }

    [Fact]
    public async Task A_vm_in_one_operation_is_not_given_to_another()
    {
        TaskCompletionSource release = new();
        _beta.Before["test.start"] = stop => release.Task.WaitAsync(stop);
        await _lab.ProtectAsync(_beta, "web1");
        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);

        ErrorInfo busy = await RefusedAsync("vm-busy", () => _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "FAILOVER"), Ct));
        Assert.Contains($"Job {test.Id}, web1 (test)", busy.Why, StringComparison.Ordinal);

        // A test that waits for its user holds nobody up: a second one may stand beside it.
        release.SetResult();
        await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
        JobDto second = await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
        await _lab.UntilAsync(second.Id, job => job.Wait == JobWait.TestCompletion);
        Assert.Equal(["web1-test", "web1-test-2"], _beta.Tests.Values.Select(standing => standing.VmName).Order());
    }

    [Fact]
    public async Task Jobs_refuse_what_their_state_does_not_allow()
    {
        ReplicaId replica = await _lab.ProtectAsync(_beta, "web1");
        JobDto protect = (await _lab.Client.ListJobsAsync(10, Ct))[0];
        await RefusedAsync("job-not-waiting", () => _lab.Client.CompleteJobAsync(protect.Id, new JobCompleteDto(null), Ct));
        await RefusedAsync("job-not-failed", () => _lab.Client.RetryJobAsync(protect.Id, Ct));
        await RefusedAsync("job-not-cancellable", () => _lab.Client.CancelJobAsync(protect.Id, Ct));
        Assert.True(_beta.Replicas.ContainsKey(replica));
    }

    [Fact]
    public async Task Nobody_gets_in_without_a_token_and_agents_do_not_pass_for_users()
    {
        using VaultClient stranger = VaultClient.Create(new Uri($"https://localhost:{_lab.Port}"), "ust_wrong", _lab.CaCertificate);
        await RefusedAsync("token-missing", () => stranger.ListVmsAsync(null, [], Ct));
        await RefusedAsync("certificate-missing", () => _lab.Client.RenewCertificateAsync(new("x", []), Ct));
        Assert.Equal("main", (await stranger.GetStatusAsync(Ct)).Name);
    }

    [Fact]
    public async Task Unknown_addresses_and_wrong_methods_are_problems_too()
    {
        using HttpClient http = _lab.Http();
        using HttpResponseMessage nothing = await http.GetAsync("api/v1/plans", Ct);
        using HttpResponseMessage method = await http.DeleteAsync("api/v1/vms", Ct);

        Assert.Equal((404, ProblemDto.ContentType), ((int)nothing.StatusCode, nothing.Content.Headers.ContentType?.MediaType));
        Assert.Equal((405, ProblemDto.ContentType), ((int)method.StatusCode, method.Content.Headers.ContentType?.MediaType));
    }

    private static ProtectDto To(string target) => new(target, "every-15s", null, null);

    private static async Task<ErrorInfo> RefusedAsync<T>(string code, Func<Task<T>> call)
    {
        ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(call)).Error;
        Assert.Equal(code, error.Code);
        Assert.NotEmpty(error.What);
        Assert.NotEmpty(error.Why);
        Assert.NotEmpty(error.Next);
        return error;
    }
}
