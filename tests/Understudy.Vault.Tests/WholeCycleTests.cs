using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>The main road of issue 2 through REST, database, jobs and control channel, with agents that only pretend to have VMs.</summary>
public sealed class WholeCycleTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_vm_goes_from_protect_through_test_failover_and_commit_to_unprotected()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using Lab owned = lab;

        ReplicaId replica = await lab.ProtectAsync(beta, "web1");
        Assert.Equal(ProtectionState.Protected, (await lab.Client.GetVmAsync("web1", Ct)).State);

        JobDto test = await lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct);
        await lab.UntilAsync(test.Id, job => job.Wait == JobWait.TestCompletion);
        Assert.Equal("web1-test", Assert.Single(beta.Tests.Values).VmName);
        Assert.Equal(ProtectionState.TestRunning, (await lab.Client.GetVmAsync("web1", Ct)).State);
        await lab.Client.CompleteJobAsync(test.Id, new JobCompleteDto("looks good"), Ct);
        JobDto tested = await lab.EndOfAsync(test.Id);
        Assert.Equal((JobState.Succeeded, "looks good"), (tested.State, tested.Note));
        Assert.Empty(beta.Tests);

        RecoveryPointInfo point = beta.AddPoint(replica, lab.Time.GetUtcNow());
        JobDto failover = await lab.Client.FailoverAsync("web1", new FailoverDto(true, point.Id.ToString(), Confirmation.Failover), Ct);
        Assert.Equal(JobState.Succeeded, (await lab.EndOfAsync(failover.Id)).State);
        Assert.Equal(ProtectionState.CommitPending, (await lab.Client.GetVmAsync("web1", Ct)).State);

        JobDto commit = await lab.Client.CommitAsync("web1", Ct);
        Assert.Equal(JobState.Succeeded, (await lab.EndOfAsync(commit.Id)).State);
        Assert.Equal(ProtectionState.FailedOver, (await lab.Client.GetVmAsync("web1", Ct)).State);

        JobDto unprotect = await lab.Client.UnprotectAsync("web1", keepAtTarget: true, Ct);
        Assert.Equal(JobState.Succeeded, (await lab.EndOfAsync(unprotect.Id)).State);
        Assert.Equal(ProtectionState.Unprotected, (await lab.Client.GetVmAsync("web1", Ct)).State);
        Assert.Empty(alpha.Sources);
        Assert.Empty(beta.Replicas);
    }
}
