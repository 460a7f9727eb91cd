using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Vault.Tests;

/// <summary>Which site of two listens (REG-3): chosen, brought into force in the right order, and changed under way.</summary>
public sealed class LinkTests
{
    private static readonly CancellationToken Ct = CancellationToken.None;

    [Fact]
    public async Task Site_of_the_source_listens_and_the_other_ones_port_closes_once_nobody_dials_it()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            ReplicaId replica = await lab.ProtectAsync(beta, "web1");
            SiteLinkedDto linked = await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "lyon"), Ct);
            Assert.Equal("lyon", linked.Listens);
            Assert.Empty(linked.Unchecked);
            await Lab.UntilAsync(() => Task.FromResult(!beta.Listens));
            Assert.Equal("alpha:7443", beta.Replicas[replica].Dials);
            Assert.Null(alpha.Sources[replica].Dials);
            Assert.True(alpha.Listens);
            Assert.Equal(["target.link", "host.listen"], LinkOrdersOf(beta));
            Assert.Equal(["host.listen", "source.link"], LinkOrdersOf(alpha));

            SiteDto berlin = await SiteAsync(lab, "berlin");
            await Lab.UntilAsync(async () => (await SiteAsync(lab, "berlin")).Links is [{ Site: "lyon", Listens: "lyon", Outstanding.Count: 0 }]);
            Assert.Equal("berlin", berlin.Name);

            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("berlin", "lyon", "default"), Ct);
            await Lab.UntilAsync(() => Task.FromResult(beta.Listens && beta.Replicas[replica].Dials is null && alpha.Sources[replica].Dials == "beta:7443"));
            Assert.Equal(["target.link", "host.listen", "host.listen", "target.link"], LinkOrdersOf(beta));
        }
    }

    [Fact]
    public async Task Vm_that_is_protected_under_the_choice_is_dialled_from_its_target_from_the_beginning()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "lyon"), Ct);
            await Lab.UntilAsync(() => Task.FromResult(!beta.Listens));
            ReplicaId replica = await lab.ProtectAsync(beta, "web1");
            Assert.Equal("alpha:7443", beta.Replicas[replica].Request.SourceEndpoint);
            Assert.True(alpha.Sources[replica].Request.TargetDials);
            Assert.Contains(beta.Done, done => done.Method == "peer.check"); // the way was tried as it will be used
            Assert.DoesNotContain(alpha.Done, done => done.Method == "peer.check");
        }
    }

    [Fact]
    public async Task Host_that_is_away_is_told_when_it_is_back_and_the_other_side_dials_until_then()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            ReplicaId replica = await lab.ProtectAsync(beta, "web1");
            await beta.StopAsync();
            await Lab.UntilAsync(async () => !(await lab.Client.GetHostAsync("beta", Ct)).Online);
            SiteLinkedDto linked = await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "lyon"), Ct);
            Assert.Contains("alpha", Assert.Single(linked.Unchecked), StringComparison.Ordinal);
            IReadOnlyList<string> outstanding = Assert.Single((await SiteAsync(lab, "lyon")).Links).Outstanding;
            Assert.Contains(outstanding, line => line.Contains("beta has still to be told, and is not connected", StringComparison.Ordinal));
            await lab.StopVaultAsync();
            Assert.Equal("beta:7443", alpha.Sources[replica].Dials);
            await lab.StartVaultAsync();
            await beta.RestartAsync();
            await Lab.UntilAsync(() => Task.FromResult(!beta.Listens && alpha.Sources[replica].Dials is null));
        }
    }

    [Fact]
    public async Task Choice_between_the_same_site_twice_is_refused()
    {
        (Lab lab, _, _) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            Assert.Equal("link-same-site", await RefusalAsync(lab, "lyon", "lyon", "lyon"));
        }
    }

    [Fact]
    public async Task Site_that_is_not_there_is_named()
    {
        (Lab lab, _, _) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            Assert.Equal("site-unknown", await RefusalAsync(lab, "lyon", "paris", "lyon"));
            Assert.Equal("site-unknown", await RefusalAsync(lab, "paris", "lyon", "lyon"));
            await lab.Client.AddSiteAsync("paris", Ct);
            Assert.Equal("value-unusable", await RefusalAsync(lab, "lyon", "berlin", "paris"));
        }
    }

    [Fact]
    public async Task Host_of_the_listening_site_needs_an_address_that_others_can_dial()
    {
        await using Lab lab = await Lab.StartAsync();
        FakeAgent alpha = await lab.AddAgentAsync("lyon", "alpha", Lab.Vm("web1"));
        alpha.Endpoint = "localhost:7443";
        await alpha.RestartAsync();
        FakeAgent beta = await lab.AddAgentAsync("berlin", "beta");
        await Lab.UntilAsync(async () => (await lab.Client.GetHostAsync("alpha", Ct)) is { Online: true, ReplicationEndpoint: "localhost:7443" });
        ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(() => lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "lyon"), Ct))).Error;
        Assert.Equal("host-without-address", error.Code);
        Assert.Contains("alpha", error.What, StringComparison.Ordinal);
        Assert.Contains("--advertise", error.Next, StringComparison.Ordinal);
        Assert.Null(Assert.Single((await SiteAsync(lab, "lyon")).Links).Listens);
        Assert.Equal(ErrorKind.Refused, error.Kind);
        Assert.Empty(LinkOrdersOf(beta));
    }

    [Fact]
    public async Task Host_that_does_not_answer_from_the_other_site_keeps_the_choice_from_being_made_and_its_port_closes_again()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "lyon"), Ct);
            await Lab.UntilAsync(() => Task.FromResult(!beta.Listens));
            alpha.Unreachable = new(new ErrorInfo(ErrorKind.Failed, "peer-unreachable", "no route", "why", "next"), default);
            ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(() => lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "berlin"), Ct))).Error;
            Assert.Equal("host-unreachable", error.Code);
            Assert.Contains("beta", error.What, StringComparison.Ordinal);
            Assert.Contains("--advertise", error.Next, StringComparison.Ordinal);
            Assert.Equal("lyon", Assert.Single((await SiteAsync(lab, "lyon")).Links).Listens);
            await Lab.UntilAsync(() => Task.FromResult(!beta.Listens));
        }
    }

    /// <summary>Across a continent a trial takes longer than it takes to see that nobody needs the port yet.</summary>
    [Fact]
    public async Task Port_that_is_open_for_a_trial_stays_open_until_it_has_been_dialled()
    {
        (Lab lab, FakeAgent alpha, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "lyon"), Ct);
            await Lab.UntilAsync(() => Task.FromResult(!beta.Listens));
            alpha.Before["peer.check"] = async stop =>
            {
                await Task.Delay(TimeSpan.FromSeconds(3), stop); // some looks of the keeper
                alpha.Unreachable = beta.Listens ? null : new(new ErrorInfo(ErrorKind.Failed, "peer-unreachable", "refused", "why", "next"), default);
            };
            SiteLinkedDto linked = await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "berlin"), Ct);
            Assert.Equal("berlin", linked.Listens);
            Assert.Empty(linked.Unchecked);
            Assert.Equal(["host.listen", "host.listen"], LinkOrdersOf(beta)); // closed, opened
        }
    }

    [Fact]
    public async Task Vm_inside_one_site_needs_that_site_to_listen()
    {
        (Lab lab, _, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            FakeAgent gamma = await lab.AddAgentAsync("lyon", "gamma");
            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "berlin"), Ct);
            await Lab.UntilAsync(() => Task.FromResult(!gamma.Listens && beta.Listens));
            ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(
                () => lab.Client.ProtectAsync("web1", new ProtectDto("gamma", "every-15s", null, null), Ct))).Error;
            Assert.Equal("site-not-listening", error.Code);

            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "default"), Ct);
            await Lab.UntilAsync(() => Task.FromResult(gamma.Listens));
            JobDto job = await lab.Client.ProtectAsync(
                "web1", new ProtectDto("gamma", "every-15s", null, [new NicChoiceDto("52:54:00:00:00:01", "default", null, null)]), Ct);
            Assert.Equal("site-not-listening", await RefusalAsync(lab, "lyon", "berlin", "berlin"));
            await lab.Client.CancelJobAsync(job.Id, Ct);
        }
    }

    [Fact]
    public async Task Choice_goes_with_its_site()
    {
        (Lab lab, _, FakeAgent beta) = await Lab.WithTwoSitesAsync();
        await using (lab)
        {
            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("lyon", "berlin", "lyon"), Ct);
            await Lab.UntilAsync(() => Task.FromResult(!beta.Listens));
            await lab.Client.AddSiteAsync("paris", Ct);
            await lab.Client.LinkSitesAsync(new SiteLinkSetDto("paris", "berlin", "paris"), Ct);
            await lab.Client.RemoveSiteAsync("paris", Ct);
            Assert.Single((await SiteAsync(lab, "berlin")).Links);
            await lab.Client.AddSiteAsync("paris", Ct);
            Assert.Null((await SiteAsync(lab, "berlin")).Links.Single(link => link.Site == "paris").Listens);
        }
    }

    private static async Task<SiteDto> SiteAsync(Lab lab, string site) => (await lab.Client.ListSitesAsync(Ct)).Single(candidate => candidate.Name == site);

    private static string[] LinkOrdersOf(FakeAgent agent) =>
        [.. agent.Done.Select(done => done.Method).Where(method => method is "host.listen" or "source.link" or "target.link")];

    private static async Task<string> RefusalAsync(Lab lab, string site, string other, string listens) =>
        (await Assert.ThrowsAsync<ErrorException>(() => lab.Client.LinkSitesAsync(new SiteLinkSetDto(site, other, listens), Ct))).Error.Code;
}
