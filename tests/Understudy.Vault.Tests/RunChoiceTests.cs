using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>Choices for one run (CFG-6): they go to the target, the stored ones stay.</summary>
public sealed class RunChoiceTests : IAsyncLifetime
{
    private const string Mac = "52:54:00:00:00:01";
    private const string NewMac = "52:54:00:00:00:99";

    private static readonly RunDto _all = new("web1-dr", [new NicChoiceDto(Mac, "dmz", null, NewMac)], 4, 2L << 30);

    private Lab _lab = null!; // set by InitializeAsync, as the next two
    private FakeAgent _beta = null!;
    private ReplicaId _replica;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private FakeReplica Target => _beta.Replicas[_replica];

    public async ValueTask InitializeAsync()
    {
        (_lab, _, _beta) = await Lab.WithTwoSitesAsync();
        _beta.Networks.Add(new HostNetwork("dmz", true, false, null));
        await _beta.RestartAsync();
        await Lab.UntilAsync(async () => await _lab.Client.GetHostAsync("beta", Ct) is { Online: true, Networks.Count: 2 }); // its facts are known before it counts as connected
        _replica = await _lab.ProtectAsync(_beta, "web1");
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_failover_takes_choices_for_itself_and_the_stored_ones_stay(bool unplanned)
    {
        await FailOverAsync(unplanned, _all);

        FailoverStartRequest asked = Assert.IsType<FailoverStartRequest>(Target.FailoverAsked);
        Assert.Equal(("web1-dr", 4, 2L << 30), (asked.VmName, asked.Cpus, asked.MemoryBytes));
        Assert.Equal(new NicPlan(Mac, "dmz", null, NewMac), Assert.Single(asked.Nics));
        ProtectionDto protection = await ProtectionAsync();
        Assert.Equal(("web1", null, null), (protection.TargetName, protection.Cpus, protection.MemoryBytes));
        Assert.Equal("default", Assert.Single(protection.Nics).TargetNetwork);
        Assert.Equal(("web1-dr", 4), (protection.Failover?.Run?.Name, protection.Failover?.Run?.Cpus));
    }

    [Fact]
    public async Task A_change_of_the_point_keeps_what_the_run_was_given_and_takes_up_what_was_set_since()
    {
        string older = Target.Points[0].Id.ToString();
        await FailOverAsync(unplanned: true, new RunDto("web1-dr", Cpus: 4));
        await _lab.EndOfAsync((await _lab.Client.SetVmAsync("web1", new VmSetDto(Cpus: 8, MemoryBytes: 2L << 30), Ct)).Id);
        await ChangePointAsync(older, null);

        ChangePointRequest asked = Assert.IsType<ChangePointRequest>(Target.ChangeAsked);
        Assert.Equal(("web1-dr", 4, 2L << 30), (asked.VmName, asked.Cpus, asked.MemoryBytes));

        await ChangePointAsync(older, new RunDto(Cpus: 0, Nics: [new NicChoiceDto(Mac, "dmz", null, null)]));
        asked = Assert.IsType<ChangePointRequest>(Target.ChangeAsked);
        Assert.Equal(("web1-dr", 0, 2L << 30, "dmz"), (asked.VmName, asked.Cpus, asked.MemoryBytes, asked.Nics?[0].TargetNetwork));
    }

    [Fact]
    public async Task A_change_of_the_point_of_a_run_that_was_begun_at_the_host_names_only_what_is_chosen()
    {
        _beta.FailOverLocally(_replica);
        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == ProtectionState.CommitPending);
        await ChangePointAsync("latest", new RunDto(Cpus: 2));

        ChangePointRequest asked = Assert.IsType<ChangePointRequest>(Target.ChangeAsked);
        Assert.Equal((null, 2, null, null), (asked.VmName, asked.Cpus, asked.MemoryBytes, asked.Nics));
    }

    [Fact]
    public async Task The_run_after_a_cancel_has_the_stored_choices_again()
    {
        await FailOverAsync(unplanned: false, _all);
        await _lab.EndOfAsync((await _lab.Client.CancelFailoverAsync("web1", new CancelFailoverDto(), Ct)).Id);
        Target.Started = null;
        await Lab.UntilAsync(async () => await _lab.StateAsync("web1") == ProtectionState.Protected);
        await FailOverAsync(unplanned: false, null);

        Assert.Equal(("web1", null), (Target.FailoverAsked?.VmName, Target.FailoverAsked?.Cpus));
    }

    [Fact]
    public async Task A_test_takes_choices_for_itself()
    {
        JobDto job = await _lab.Client.TestAsync("web1", new TestVmDto(null, null, null, new RunDto("trial", [new NicChoiceDto(Mac, "dmz", null, "keep")], 4, 2L << 30)), Ct);
        await _lab.UntilAsync(job.Id, row => row.Wait == JobWait.TestCompletion);

        TestStartRequest asked = Assert.Single(_beta.Tests.Values);
        Assert.Equal(("trial", 4, 2L << 30, false), (asked.VmName, asked.Cpus, asked.MemoryBytes, asked.Isolated));
        Assert.Equal(new TestNic(Mac, "dmz", false, Mac), Assert.Single(asked.Nics));
    }

    [Fact]
    public async Task A_promoted_test_becomes_what_the_promotion_chooses()
    {
        JobDto test = await _lab.Client.TestAsync("web1", new TestVmDto(null, null, null, new RunDto(Cpus: 1)), Ct);
        await _lab.UntilAsync(test.Id, row => row.Wait == JobWait.TestCompletion);
        await _lab.EndOfAsync((await _lab.Client.PromoteAsync("web1", new PromoteDto(null, Confirmation.Failover, null, _all), Ct)).Id);

        Assert.Equal(("web1-dr", 4), (Target.FailoverAsked?.VmName, Target.FailoverAsked?.Cpus));
    }

    public static TheoryData<RunDto, string> Bad => new()
    {
        { new RunDto("no_underscores"), "name-unlawful" },
        { new RunDto("other"), "name-taken" },
        { new RunDto(Cpus: -1), "value-unusable" },
        { new RunDto(Cpus: 5000), "value-unusable" },
        { new RunDto(MemoryBytes: 1000), "value-unusable" },
        { new RunDto(MemoryBytes: 1L << 60), "value-unusable" },
        { new RunDto(Nics: [new NicChoiceDto("52:54:00:00:00:77", "dmz", null, null)]), "value-unusable" },
        { new RunDto(Nics: [new NicChoiceDto(Mac, "dmz", null, "52:54")]), "value-unusable" },
        { new RunDto(Nics: [new NicChoiceDto(Mac, "nowhere", null, null)]), "network-unknown" },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public async Task A_choice_that_cannot_be_carried_out_is_refused_before_anything_happens(RunDto run, string code)
    {
        _beta.Vms.Add(Lab.Vm("other"));
        await _beta.RestartAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("beta", Ct)).Online && (await _lab.Client.ListVmsAsync(Ct)).Any(vm => vm.Name == "other"));
        int jobs = (await _lab.Client.ListJobsAsync(50, Ct)).Count;

        Assert.Equal(code, await CodeAsync(() => _lab.Client.FailoverAsync("web1", new FailoverDto(false, null, null, Run: run), Ct)));
        Assert.Equal(code, await CodeAsync(() => _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, Confirmation.Failover, Run: run), Ct)));
        Assert.Equal(code, await CodeAsync(() => _lab.Client.TestAsync("web1", new TestVmDto(null, null, null, run), Ct)));
        Assert.Equal(jobs, (await _lab.Client.ListJobsAsync(50, Ct)).Count);
    }

    [Fact]
    public async Task A_test_does_not_take_the_name_that_the_vm_itself_will_need() =>
        Assert.Equal("name-taken", await CodeAsync(() => _lab.Client.TestAsync("web1", new TestVmDto(null, null, null, new RunDto("web1")), Ct)));

    [Fact]
    public async Task A_mac_that_was_changed_can_be_kept_again()
    {
        await _lab.EndOfAsync((await _lab.Client.SetVmAsync("web1", new VmSetDto(Nics: [new NicChoiceDto(Mac, null, null, NewMac)]), Ct)).Id);
        Assert.Equal(NewMac, Assert.Single((await ProtectionAsync()).Nics).NewMac);
        await _lab.EndOfAsync((await _lab.Client.SetVmAsync("web1", new VmSetDto(Nics: [new NicChoiceDto(Mac, null, null, "keep")]), Ct)).Id);
        Assert.Null(Assert.Single((await ProtectionAsync()).Nics).NewMac);
    }

    private async Task<ProtectionDto> ProtectionAsync() => Assert.IsType<ProtectionDto>((await _lab.Client.GetVmAsync("web1", Ct)).Protection);

    private async Task FailOverAsync(bool unplanned, RunDto? run) =>
        await SucceedAsync(await _lab.Client.FailoverAsync("web1", new FailoverDto(unplanned, null, unplanned ? Confirmation.Failover : null, Run: run), Ct));

    private async Task ChangePointAsync(string point, RunDto? run) =>
        await SucceedAsync(await _lab.Client.ChangePointAsync("web1", new ChangePointDto(point, null, run), Ct));

    private async Task SucceedAsync(JobDto job)
    {
        JobDto ended = await _lab.EndOfAsync(job.Id);
        Assert.True(ended.State == JobState.Succeeded, ended.Error?.ToString());
    }

    private static async Task<string> CodeAsync(Func<Task<JobDto>> command) => (await Assert.ThrowsAsync<ErrorException>(command)).Error.Code;
}
