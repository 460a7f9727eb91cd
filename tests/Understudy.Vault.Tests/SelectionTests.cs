using Microsoft.EntityFrameworkCore;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>REG-5 and PRO-7: several VMs chosen by rule, a job for each, and what one refuses in nobody else's way.</summary>
public sealed class SelectionTests : IAsyncLifetime
{
    private Lab _lab = null!; // set by InitializeAsync, as the next one
    private FakeAgent _beta = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await Lab.StartAsync();
        _beta = await _lab.AddAgentAsync("berlin", "beta", Lab.Vm("web9"));
        FakeAgent alpha = await _lab.AddAgentAsync(
            "lyon", "alpha", Tagged("web1", "prod", "front"), Tagged("web2", "test"), Lab.Vm("db1") with { Tags = ["prod"], Power = VmPower.Off }, Tagged("mail"));
        alpha.Peer = _beta;
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Theory]
    [InlineData("web*", "", "web1 web2 web9")]
    [InlineData("web*", "prod", "web1")]
    [InlineData(null, "prod", "db1 web1")]
    [InlineData(null, "prod front", "web1")]
    [InlineData("tag:prod,mail", "", "db1 mail web1")]
    [InlineData("!web*", "", "db1 mail")]
    [InlineData("nothing*", "", "")]
    public async Task A_list_has_those_that_the_rule_means(string? rule, string tags, string expected)
    {
        IReadOnlyList<VmDto> vms = await _lab.Client.ListVmsAsync(rule, tags.Split(' ', StringSplitOptions.RemoveEmptyEntries), Ct);

        Assert.Equal(expected, string.Join(" ", vms.Select(vm => vm.Name)));
    }

    [Fact]
    public async Task What_a_selection_would_do_is_said_and_nothing_is_started()
    {
        SelectionDto preview = await _lab.Client.ProtectSelectedAsync(Protect("web*,db1", preview: true), Ct);

        Assert.True(preview.Preview);
        Assert.Equal(["db1", "web1", "web2"], preview.Vms.Select(vm => vm.Vm)); // web9 is at the target
        Assert.Equal("vm-unsuitable", preview.Vms[0].Error?.Code);
        Assert.All(preview.Vms.Skip(1), vm => Assert.Null(vm.Error));
        Assert.Empty(await _lab.Client.ListJobsAsync(100, Ct));
    }

    [Fact]
    public async Task What_breaks_for_one_VM_leaves_the_jobs_of_the_others_in_the_answer()
    {
        await using (VaultDb db = _lab.OpenDatabase())
        {
            await db.Database.ExecuteSqlRawAsync("CREATE TRIGGER stumble BEFORE INSERT ON jobs WHEN NEW.VmName = 'web2' BEGIN SELECT RAISE(ABORT, 'the disk is full'); END", Ct);
        }

        SelectionDto started = await _lab.Client.ProtectSelectedAsync(Protect("web*"), Ct);

        Assert.Equal([("web1", true), ("web2", false)], started.Vms.Select(vm => (vm.Vm, vm.Job is not null)));
        Assert.Equal("internal", started.Vms[1].Error?.Code);
    }

    [Fact]
    public async Task Each_vm_gets_a_job_of_its_own_and_one_that_is_refused_keeps_none_from_it()
    {
        SelectionDto started = await _lab.Client.ProtectSelectedAsync(Protect("web*,db1"), Ct);

        Assert.Equal([("db1", false), ("web1", true), ("web2", true)], started.Vms.Select(vm => (vm.Vm, vm.Job is not null)));
        Assert.Contains("is off", started.Vms[0].Error?.Why, StringComparison.Ordinal);
        await Lab.UntilAsync(() => Task.FromResult(_beta.Replicas.Count == 2));
        SelectionDto again = await _lab.Client.ProtectSelectedAsync(Protect("web1"), Ct);
        Assert.NotNull(Assert.Single(again.Vms).Error);
    }

    [Fact]
    public async Task Pausing_and_resuming_take_the_protected_ones_that_are_meant()
    {
        foreach (SelectedVmDto vm in (await _lab.Client.ProtectSelectedAsync(Protect("web*"), Ct)).Vms)
        {
            await Lab.UntilAsync(async () => (await _lab.Client.GetVmAsync(vm.Vm, Ct)).State != ProtectionState.Preparing);
        }

        foreach (ReplicaId replica in _beta.Replicas.Keys)
        {
            _beta.AddPoint(replica, _lab.Time.GetUtcNow());
        }

        SelectionDto paused = await _lab.Client.PauseSelectedAsync(new SelectDto("all"), Ct);
        Assert.Equal(["web1", "web2"], paused.Vms.Select(vm => vm.Vm));
        foreach (SelectedVmDto vm in paused.Vms)
        {
            Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(vm.Job!.Id)).State); // it was lawful
        }

        SelectionDto resumed = await _lab.Client.ResumeSelectedAsync(new SelectDto(Tags: ["prod"]), Ct);
        Assert.Equal("web1", Assert.Single(resumed.Vms).Vm);
        Assert.Equal(JobState.Succeeded, (await _lab.EndOfAsync(resumed.Vms[0].Job!.Id)).State); // as above
        Assert.Equal("web1", Assert.Single((await _lab.Client.ResyncSelectedAsync(new SelectDto("web*,!web2"), Ct)).Vms).Vm);
    }

    [Fact]
    public async Task A_selection_that_means_nothing_and_one_that_cannot_be_read_say_so()
    {
        Assert.Equal("nothing-selected", await CodeAsync(() => _lab.Client.ProtectSelectedAsync(Protect("x*"), Ct)));
        Assert.Equal("nothing-selected", await CodeAsync(() => _lab.Client.PauseSelectedAsync(new SelectDto("web*"), Ct)));
        Assert.Equal("value-unusable", await CodeAsync(() => _lab.Client.PauseSelectedAsync(new SelectDto("web*,,"), Ct)));
        Assert.Equal("value-missing", await CodeAsync(() => _lab.Client.PauseSelectedAsync(new SelectDto(), Ct)));
        Assert.Equal("host-unknown", await CodeAsync(() => _lab.Client.ProtectSelectedAsync(new ProtectSelectedDto(new ProtectDto("gamma", null, null, null), "web*"), Ct)));
        ProtectDto named = new("beta", null, "one-name", null);
        Assert.Equal("value-unusable", await CodeAsync(() => _lab.Client.ProtectSelectedAsync(new ProtectSelectedDto(named, "web*"), Ct)));
        Assert.Empty(await _lab.Client.ListJobsAsync(100, Ct));
    }

    private static ProtectSelectedDto Protect(string rule, bool preview = false) => new(new ProtectDto("beta", "every-15s", null, null), rule, Preview: preview);

    private static DiscoveredVm Tagged(string name, params string[] tags) => Lab.Vm(name) with { Tags = tags };

    private static async Task<string> CodeAsync(Func<Task> request) => (await Assert.ThrowsAsync<ErrorException>(request)).Error.Code;
}
