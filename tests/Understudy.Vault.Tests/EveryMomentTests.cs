using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>
/// The vault ends, or an agent dies, around every single order that a command gives to an agent: before it is carried out,
/// and after it took effect but before its outcome was kept or heard. The job finishes by itself, and nothing is done twice
/// where twice would be wrong.
/// </summary>
public sealed class EveryMomentTests : IAsyncLifetime
{
    private static readonly Dictionary<string, string[]> Orders = new()
    {
        ["planned"] = ["peer.check", "source.cycle", "source.fence", "source.stopGuest", "source.lastChange", "source.offer", "failover.start", "source.handedOver"],
        ["unplanned"] = ["source.fence", "source.stopGuest", "source.lastChange", "failover.start"],
        ["promote"] = ["source.fence", "source.stopGuest", "failover.start"],
        ["cancel"] = ["failover.cancel", "source.accept", "transfer.settled"],
        ["change-point"] = ["failover.changePoint"],
        ["commit"] = ["commit"],
        ["retire"] = ["source.unprotect", "target.unprotect"],
        ["pause"] = ["source.pause"],
        ["mark"] = ["source.cycle"],
        ["mount"] = ["point.mount"],
    };

    private Lab _lab = null!; // set by InitializeAsync, as the next three
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;
    private ReplicaId _replica;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Moments()
    {
        TheoryData<string, string> moments = [];
        foreach ((string command, string[] orders) in Orders)
        {
            foreach (string order in orders)
            {
                moments.Add(command, order);
            }
        }

        return moments;
    }

    public async ValueTask InitializeAsync()
    {
        (_lab, _alpha, _beta) = await Lab.WithTwoSitesAsync();
        _replica = await _lab.ProtectAsync(_beta, "web1");
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Theory]
    [MemberData(nameof(Moments))]
    public async Task A_vault_that_ends_while_an_agent_works_finds_the_outcome_when_it_is_back(string command, string order)
    {
        await PrepareAsync(command);
        TaskCompletionSource begun = new();
        TaskCompletionSource release = new();
        FakeAgent agent = AgentOf(order);
        agent.Before[order] = async stop =>
        {
            begun.TrySetResult();
            await release.Task.WaitAsync(stop);
        };
        long job = await BeginAsync(command);
        await begun.Task.WaitAsync(Ct);
        await _lab.StopVaultAsync();
        agent.Before.Clear();
        release.SetResult(); // the agent finishes while nobody listens
        await _lab.StartVaultAsync();
        JobDto ended = await _lab.EndOfAsync(job);

        Assert.True(ended.State == JobState.Succeeded, ended.Error?.ToString());
        Assert.All(ended.Steps, step => Assert.Equal((1, StepState.Succeeded), (step.Attempt, step.State)));
        Assert.Equal(1, agent.Done.Where(done => done.Operation is not null).Count(done => done.Method == order) + (order == "peer.check" ? 1 : 0)); // which is no operation
        await RequireDoneAsync(command);
    }

    [Theory]
    [MemberData(nameof(Moments))]
    public async Task An_agent_that_dies_before_its_outcome_is_kept_does_the_order_again_and_the_job_ends(string command, string order)
    {
        await PrepareAsync(command);
        FakeAgent agent = AgentOf(order);
        TaskCompletionSource died = new();
        agent.After[order] = async stop =>
        {
            died.TrySetResult();
            await Task.Delay(Timeout.Infinite, stop); // its effect stands, its outcome is lost with it
        };
        long job = await BeginAsync(command);
        await died.Task.WaitAsync(Ct);
        await agent.StopAsync();
        agent.After.Clear();
        await agent.RestartAsync();
        JobDto ended = await _lab.EndOfAsync(job);

        Assert.True(ended.State == JobState.Succeeded, ended.Error?.ToString());
        await RequireDoneAsync(command);
    }

    private FakeAgent AgentOf(string order) => order.StartsWith("source.", StringComparison.Ordinal) || order == "peer.check" ? _alpha : _beta;

    private async Task PrepareAsync(string command)
    {
        switch (command)
        {
            case "cancel" or "change-point" or "commit":
                await _lab.FailOverAsync("web1");
                break;
            case "retire":
                await _lab.FailOverAsync("web1");
                await _lab.EndOfAsync((await _lab.Client.CommitAsync("web1", Ct)).Id);
                break;
            case "promote":
                JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
                await _lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
                break;
        }

        _alpha.Done.Clear();
        _beta.Done.Clear();
    }

    private async Task<long> BeginAsync(string command) => (command switch
    {
        "planned" => await _lab.Client.FailoverAsync("web1", new FailoverDto(false, null, null), Ct),
        "unplanned" => await _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "FAILOVER", ShutDownSource: true), Ct),
        "promote" => await _lab.Client.PromoteAsync("web1", new PromoteDto(null, "FAILOVER"), Ct),
        "cancel" => await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct),
        "change-point" => await _lab.Client.ChangePointAsync("web1", new ChangePointDto(_beta.Replicas[_replica].Points[0].Id.ToString()), Ct),
        "commit" => await _lab.Client.CommitAsync("web1", Ct),
        "retire" => await _lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct),
        "pause" => await _lab.Client.PauseAsync("web1", Ct),
        "mark" => await _lab.Client.MarkAsync("web1", new MarkDto("before the update"), Ct),
        "mount" => await _lab.Client.MountPointAsync("web1", "latest", new MountDto(), Ct),
        _ => throw new InvalidOperationException(command),
    }).Id;

    /// <summary>What the command was for is so, on both hosts and in the vault's eyes.</summary>
    private async Task RequireDoneAsync(string command)
    {
        FakeSource? source = _alpha.Sources.GetValueOrDefault(_replica);
        FakeReplica? target = _beta.Replicas.GetValueOrDefault(_replica);
        ProtectionState expected = command switch
        {
            "planned" or "unplanned" or "promote" or "change-point" => ProtectionState.CommitPending,
            "commit" => ProtectionState.FailedOver,
            "retire" => ProtectionState.Unprotected,
            "pause" => ProtectionState.Paused,
            _ => ProtectionState.Protected,
        };
        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == expected);
        switch (command)
        {
            case "planned" or "unplanned" or "promote":
                Assert.True(target is { Token.IsHere: true } && source is { Running: false });
                await Lab.UntilAsync(() => Task.FromResult(!source.Token.IsHere));
                break;
            case "cancel":
                Assert.True(source is { Running: true, Token: { IsHere: true, IsFenced: false } });
                await Lab.UntilAsync(() => Task.FromResult(!target!.Token.IsHere && target.Token.Report().State == OwnershipState.Elsewhere)); // held all the while
                Assert.Single(target!.Branches);
                break;
            case "change-point":
                Assert.Equal(target!.Points[0].Id, target.Failover?.Point); // held all the while
                break;
            case "retire":
                Assert.True(source is null && target is null);
                await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Branches is [{ Kind: BranchKind.RetiredSource }]);
                break;
            case "mark":
                Assert.Equal("before the update", target!.Points[^1].Label); // held all the while
                break;
            case "mount":
                await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync("web1", Ct)).Protection!.Mounts.Count == 1); // protected all the while
                break;
        }
    }
}
