using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>REG-2, REG-3, REG-6: a host's name, its way to the vault, what it shows of its VMs, and why it went.</summary>
public sealed class HostSettingsTests : IAsyncLifetime
{
    private Lab _lab = null!; // set by InitializeAsync, as the next one
    private FakeAgent _alpha = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _lab = await Lab.StartAsync();
        _alpha = await _lab.AddAgentAsync("lyon", "alpha", Lab.Vm("web1"));
    }

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task A_host_is_renamed_and_is_told_so()
    {
        HostDto renamed = await _lab.Client.SetHostAsync("alpha", new HostSetDto("kvm1.lyon"), Ct);

        Assert.Equal("kvm1.lyon", renamed.Name);
        await Lab.UntilAsync(() => Task.FromResult(_alpha.Membership?.Name == "kvm1.lyon"));
        Assert.Contains(await _lab.Client.ListEventsAsync(0, 100, Ct), news => news is { Kind: "host-renamed", Text: "alpha is called kvm1.lyon now (admin)." });
    }

    [Fact]
    public async Task A_host_that_was_away_hears_its_new_name_when_it_is_back()
    {
        await _alpha.StopAsync();
        await _lab.Client.SetHostAsync("alpha", new HostSetDto("kvm1"), Ct);
        Assert.Equal("alpha", _alpha.Membership?.Name);

        await _alpha.RestartAsync();

        await Lab.UntilAsync(() => Task.FromResult(_alpha.Membership?.Name == "kvm1"));
    }

    [Theory]
    [InlineData("kvm 1", "value-unusable")]
    [InlineData("-kvm", "value-unusable")]
    [InlineData("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "value-unusable")]
    [InlineData("beta", "exists-already")]
    public async Task A_name_that_cannot_be_used_is_refused_also_when_a_host_joins(string name, string code)
    {
        await _lab.AddAgentAsync("berlin", "beta");
        RegistrationKeyFile key = await _lab.Client.MakeKeyAsync("lyon", null, Ct);
        await using FakeAgent joining = new(name);

        Assert.Equal(code, await CodeAsync(() => _lab.Client.SetHostAsync("alpha", new HostSetDto(name), Ct)));
        Assert.Equal(code, await CodeAsync(() => joining.JoinAsync(key)));
        Assert.Equal("alpha", (await _lab.Client.GetHostAsync("alpha", Ct)).Name);
    }

    [Fact]
    public async Task A_proxy_that_works_is_answered_when_it_has_been_tried()
    {
        HostDto host = await _lab.Client.SetHostAsync("alpha", new HostSetDto(Proxy: "http://proxy:3128"), Ct);
        Assert.Equal(new ProxyState("http://proxy:3128", OnTrial: false, null), host.Proxy);

        host = await _lab.Client.SetHostAsync("alpha", new HostSetDto(Proxy: "none"), Ct);
        Assert.Equal(new ProxyState(null, OnTrial: false, null), host.Proxy);
    }

    [Fact]
    public async Task The_end_of_a_trial_that_is_heard_before_the_answer_to_its_order_counts()
    {
        _alpha.After["host.configure"] = stop => Task.Delay(TimeSpan.FromSeconds(1), stop);
        HostDto host = await _lab.Client.SetHostAsync("alpha", new HostSetDto(Proxy: "http://proxy:3128"), Ct);

        Assert.Equal(new ProxyState("http://proxy:3128", OnTrial: false, null), host.Proxy);
    }

    [Fact]
    public async Task A_proxy_that_leads_nowhere_is_a_failure_that_says_what_was_done_and_a_later_one_is_not_judged_by_it()
    {
        _alpha.EndOfTrial = trial => trial with { OnTrial = false, Problem = "The vault was not reached through it" };
        ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.SetHostAsync("alpha", new HostSetDto(Proxy: "http://proxy:3128"), Ct))).Error;
        Assert.Equal(("proxy-unusable", ErrorKind.Failed), (error.Code, error.Kind));
        Assert.Contains("was not reached", error.Why, StringComparison.Ordinal);
        Assert.Null((await _lab.Client.GetHostAsync("alpha", Ct)).Proxy?.Proxy);

        _alpha.EndOfTrial = trial => trial with { OnTrial = false };
        Assert.Equal("http://other:3128", (await _lab.Client.SetHostAsync("alpha", new HostSetDto(Proxy: "http://other:3128"), Ct)).Proxy?.Proxy);
    }

    [Fact]
    public async Task Settings_that_cannot_be_used_change_nothing()
    {
        Assert.Equal("value-missing", await CodeAsync(() => _lab.Client.SetHostAsync("alpha", new HostSetDto(), Ct)));
        Assert.Equal("value-unusable", await CodeAsync(() => _lab.Client.SetHostAsync("alpha", new HostSetDto("kvm1", "proxy:3128"), Ct)));
        Assert.Equal("host-unknown", await CodeAsync(() => _lab.Client.SetHostAsync("gamma", new HostSetDto("kvm1"), Ct)));
        await _alpha.StopAsync();
        await Lab.UntilAsync(async () => !(await _lab.Client.GetHostAsync("alpha", Ct)).Online);
        ErrorInfo offline = (await Assert.ThrowsAsync<ErrorException>(() => _lab.Client.SetHostAsync("alpha", new HostSetDto(Proxy: "none"), Ct))).Error;
        Assert.Equal("host-offline", offline.Code);
        Assert.Contains("understudy local set", offline.Next, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_host_shows_of_its_vms_is_its_owners_rule_and_the_vault_says_which()
    {
        await _alpha.RestartAsync(() => _alpha.Visible = "web*,tag:prod");

        await Lab.UntilAsync(async () => (await _lab.Client.GetHostAsync("alpha", Ct)).Visible == "web*,tag:prod");
    }

    [Fact]
    public async Task A_vm_that_its_host_hides_leaves_every_list()
    {
        await Lab.UntilAsync(async () => (await _lab.Client.ListVmsAsync(null, [], Ct)).Count == 1);
        _alpha.Vms.Clear();
        _alpha.PostInventory();

        await Lab.UntilAsync(async () => (await _lab.Client.ListVmsAsync(null, [], Ct)).Count == 0);
        Assert.Equal("vm-unknown", await CodeAsync(() => _lab.Client.GetVmAsync("web1", Ct)));
    }

    [Fact]
    public async Task A_host_is_removed_for_a_reason_and_an_empty_site_after_it()
    {
        Assert.Equal("value-missing", await CodeAsync(() => _lab.Client.RemoveHostAsync("alpha", null, Ct)));
        Assert.Equal("value-missing", await CodeAsync(() => _lab.Client.RemoveHostAsync("alpha", "  ", Ct)));
        Assert.Equal("value-unusable", await CodeAsync(() => _lab.Client.RemoveHostAsync("alpha", new string('x', 501), Ct)));
        Assert.Equal("in-use", await CodeAsync(() => _lab.Client.RemoveSiteAsync("lyon", Ct)));

        await _lab.Client.RemoveHostAsync("alpha", "sold & replaced", Ct);
        await _lab.Client.RemoveSiteAsync("lyon", Ct);

        Assert.Empty(await _lab.Client.ListSitesAsync(Ct));
        Assert.Contains(await _lab.Client.ListEventsAsync(0, 100, Ct), news => news.Kind == "host-removed" && news.Text.Contains("removed by admin: sold & replaced.", StringComparison.Ordinal));
    }

    private static async Task<string> CodeAsync(Func<Task> request) => (await Assert.ThrowsAsync<ErrorException>(request)).Error.Code;
}
