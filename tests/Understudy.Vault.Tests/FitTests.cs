using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>REG-4: what a target's hypervisor says of a VM's machine is known before anything depends on it.</summary>
public sealed class FitTests : IAsyncLifetime
{
    private static readonly MachineNeeds Needs = new("kvm", "x86_64", "pc-q35-7.2", "custom", "Skylake-Server", true, "<cpu/>", null, "/usr/share/OVMF/OVMF_CODE.fd", null);

    private Lab _lab = null!; // set by InitializeAsync, as the next two
    private FakeAgent _alpha = null!;
    private FakeAgent _beta = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await Lab.StartAsync();
        _alpha = await _lab.AddAgentAsync("lyon", "alpha", Lab.Vm("web1") with { Needs = Needs });
        _beta = await _lab.AddAgentAsync("berlin", "beta");
        _alpha.Peer = _beta;
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task A_target_that_lacks_the_processor_or_the_firmware_is_found_out_before_the_vm_is_protected()
    {
        _beta.Fit = FakeAgent.FitsAll with { Cpu = CpuFit.Lacking, CpuProblem = "no avx512f", LoaderThere = false };

        VmVerifyDto verified = await _lab.Client.VerifyVmAsync("web1", new ProtectDto("beta", null, null, null), Ct);
        ErrorInfo refused = (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.ProtectAsync("web1", new ProtectDto("beta", null, null, null), Ct))).Error;

        Assert.Equal(CheckLevel.Error, verified.Worst);
        Assert.Equal(["CPU", "firmware"], verified.Checks.Where(check => check.Level == CheckLevel.Error).Select(check => check.Name));
        Assert.Equal("vm-unsuitable", refused.Code);
        Assert.Contains("avx512f", refused.Why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_protected_vm_is_verified_against_the_target_it_has()
    {
        await _lab.ProtectAsync(_beta, "web1");
        VmVerifyDto good = await _lab.Client.VerifyVmAsync("web1", new ProtectDto("", null, null, null), Ct);
        Assert.Equal(("beta", CheckLevel.Warning), (good.Target, good.Worst)); // no guest agent
        Assert.Contains(good.Checks, check => check is { Name: "beta: connected", Level: CheckLevel.Pass });
        Assert.Contains(good.Checks, check => check is { Name: "CPU", Level: CheckLevel.Pass });
        Assert.Contains(good.Checks, check => check is { Name: "networks", Level: CheckLevel.Pass });

        _beta.Fit = FakeAgent.FitsAll with { LoaderThere = false };
        VmVerifyDto bad = await _lab.Client.VerifyVmAsync("web1", new ProtectDto("berlin", null, null, null), Ct);
        Assert.Contains(bad.Checks, check => check is { Name: "firmware", Level: CheckLevel.Error });
        Assert.Equal("vm-already-protected", (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.VerifyVmAsync("web1", new ProtectDto("alpha", null, null, null), Ct))).Error.Code);
    }

    [Fact]
    public async Task A_hosts_check_names_each_vm_that_would_not_start_there()
    {
        await _lab.ProtectAsync(_beta, "web1");
        Assert.Contains((await _lab.Client.CheckHostAsync("beta", Ct)).Checks, check => check is { Name: "web1", Level: CheckLevel.Pass });

        _beta.Fit = FakeAgent.FitsAll with { Cpu = CpuFit.Lacking, CpuProblem = "no avx512f" };

        HostCheckDto check = await _lab.Client.CheckHostAsync("beta", Ct);
        Assert.Equal(CheckLevel.Error, check.Worst);
        Assert.Contains(check.Checks, found => found is { Name: "web1: CPU", Level: CheckLevel.Error, Remedy: not null });
        Assert.DoesNotContain((await _lab.Client.CheckHostAsync("alpha", Ct)).Checks, found => found.Name.StartsWith("web1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_test_and_a_planned_failover_are_refused_before_anything_is_made_and_an_unplanned_one_goes_on()
    {
        ReplicaId replica = await _lab.ProtectAsync(_beta, "web1");
        _beta.Fit = FakeAgent.FitsAll with { MachineProblem = "unsupported machine type" };

        JobDto test = await _lab.EndOfAsync((await _lab.Client.TestAsync("web1", new TestVmDto(null, null), Ct)).Id);
        JobDto planned = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", new FailoverDto(false, null, null), Ct)).Id);
        Assert.Equal(("vm-unsuitable", "vm-unsuitable"), (test.Error?.Code, planned.Error?.Code));
        Assert.Empty((await _lab.Client.GetVmAsync("web1", Ct)).Protection?.Tests ?? []);
        Assert.DoesNotContain(_beta.Done, done => done.Method is "test.start" or "failover.start");
        Assert.DoesNotContain(_alpha.Done, done => done.Method == "source.fence");

        JobDto unplanned = await _lab.EndOfAsync((await _lab.Client.FailoverAsync("web1", new FailoverDto(true, null, "FAILOVER"), Ct)).Id);
        Assert.Equal(JobState.Succeeded, unplanned.State);
        Assert.Contains(unplanned.Steps, step => step.Detail?.Contains("unsupported machine type", StringComparison.Ordinal) == true);
        Assert.NotNull(_beta.Replicas[replica].Failover);
    }

    [Fact]
    public async Task A_host_is_checked_when_it_joins_and_says_what_to_do()
    {
        IReadOnlyList<EventDto> events = await _lab.Client.ListEventsAsync(0, 100, Ct);
        EventDto found = Assert.Single(events, news => news.Kind == "host-checked" && news.Host == "beta");
        await _beta.RestartAsync();
        await Lab.UntilAsync(async () => (await _lab.Client.ListEventsAsync(0, 100, Ct)).Count(news => news is { Kind: "host-online", Host: "beta" }) == 2);

        Assert.Contains("beta was checked on joining", found.Text, StringComparison.Ordinal);
        Assert.Single(await _lab.Client.ListEventsAsync(0, 100, Ct), news => news.Kind == "host-checked" && news.Host == "beta");
    }
}
