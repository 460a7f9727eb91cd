using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Model;

namespace Understudy.Vault.Tests;

public sealed class RegistrationTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_key_joins_one_host_and_no_second()
    {
        await using Lab lab = await Lab.StartAsync();
        await lab.Client.AddSiteAsync("lyon", Ct);
        RegistrationKeyFile key = await lab.Client.MakeKeyAsync("lyon", null, Ct);
        await using FakeAgent first = new("alpha");
        await using FakeAgent second = new("beta");
        await first.JoinAsync(key);

        ErrorInfo used = (await Assert.ThrowsAsync<ErrorException>(() => second.JoinAsync(key))).Error;

        Assert.Equal("key-used", used.Code);
        Assert.Contains("alpha", used.Why, StringComparison.Ordinal);
        Assert.Equal("alpha", Assert.Single(await lab.Client.ListHostsAsync(Ct)).Name);
    }

    [Fact]
    public async Task An_expired_key_and_a_made_up_one_join_nobody()
    {
        await using Lab lab = await Lab.StartAsync();
        await lab.Client.AddSiteAsync("lyon", Ct);
        RegistrationKeyFile key = await lab.Client.MakeKeyAsync("lyon", "1h", Ct);
        lab.Time.Advance(TimeSpan.FromMinutes(61));
        await using FakeAgent agent = new("alpha");

        Assert.Equal("key-expired", (await Assert.ThrowsAsync<ErrorException>(() => agent.JoinAsync(key))).Error.Code);
        Assert.Equal("key-unknown", (await Assert.ThrowsAsync<ErrorException>(() => agent.JoinAsync(key with { Secret = "usk_guess" }))).Error.Code);
        Assert.Empty(await lab.Client.ListHostsAsync(Ct));
    }

    [Fact]
    public async Task A_refused_join_does_not_use_the_key_up()
    {
        await using Lab lab = await Lab.StartAsync();
        await lab.AddAgentAsync("lyon", "alpha");
        RegistrationKeyFile key = await lab.Client.MakeKeyAsync("lyon", null, Ct);
        await using FakeAgent sameName = new("alpha");
        await using FakeAgent other = new("beta");

        Assert.Equal("exists-already", (await Assert.ThrowsAsync<ErrorException>(() => sameName.JoinAsync(key))).Error.Code);
        await other.JoinAsync(key);
        Assert.Equal("lyon", other.Membership?.Site);
    }

    [Fact]
    public async Task An_agents_certificate_names_it_and_serves_both_ends_of_a_connection()
    {
        await using Lab lab = await Lab.StartAsync();
        FakeAgent agent = await lab.AddAgentAsync("lyon", "alpha");
        using X509Certificate2 certificate = agent.Membership!.ToCertificate(); // joined above
        string names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single().Format(false);
        IEnumerable<string?> uses = certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().Single().EnhancedKeyUsages.Cast<Oid>().Select(use => use.Value);

        Assert.Contains($"urn:understudy:agent:{agent.Id}", names, StringComparison.Ordinal);
        Assert.Contains("alpha", names, StringComparison.Ordinal);
        Assert.Equal(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"], uses.Order());
        Assert.True(certificate.HasPrivateKey);
    }

    [Fact]
    public async Task An_agent_renews_its_certificate_with_the_one_it_has()
    {
        await using Lab lab = await Lab.StartAsync();
        FakeAgent agent = await lab.AddAgentAsync("lyon", "alpha");
        AgentMembership before = agent.Membership!; // joined above
        Assert.False(before.IsRenewalDue(lab.Time.GetUtcNow()));
        Assert.True(before.IsRenewalDue(lab.Time.GetUtcNow().AddDays(61)));

        AgentMembership renewed = await before.RenewAsync(null, Ct);

        Assert.Equal(before.Host, renewed.Host);
        Assert.NotEqual(before.Certificate, renewed.Certificate);
        Assert.NotEqual(before.Key, renewed.Key);
    }

    [Fact]
    public async Task A_removed_host_is_shut_out_though_its_certificate_is_still_good()
    {
        await using Lab lab = await Lab.StartAsync();
        FakeAgent agent = await lab.AddAgentAsync("lyon", "alpha");
        AgentMembership membership = agent.Membership!; // joined above
        await lab.Client.RemoveHostAsync("alpha", "sold", Ct);

        ErrorInfo error = (await Assert.ThrowsAsync<ErrorException>(() => membership.RenewAsync(null, Ct))).Error;

        Assert.Equal("host-removed", error.Code);
    }

    [Fact]
    public async Task A_certificate_of_another_authority_is_told_so_and_gets_no_further()
    {
        await using Lab lab = await Lab.StartAsync();
        await using Lab other = await Lab.StartAsync();
        FakeAgent agent = await lab.AddAgentAsync("lyon", "alpha");
        FakeAgent stranger = await other.AddAgentAsync("lyon", "alpha");
        AgentMembership mixed = agent.Membership! with { Certificate = stranger.Membership!.Certificate, Key = stranger.Membership.Key }; // both joined above

        Assert.Equal("certificate-foreign", (await Assert.ThrowsAsync<ErrorException>(() => mixed.RenewAsync(null, Ct))).Error.Code);
    }

    [Fact]
    public async Task An_agent_that_meets_another_vault_at_its_address_knows_it_by_its_certificate()
    {
        await using Lab lab = await Lab.StartAsync();
        await using Lab other = await Lab.StartAsync();
        FakeAgent agent = await lab.AddAgentAsync("lyon", "alpha");
        AgentMembership misled = agent.Membership! with { VaultUrls = [$"https://localhost:{other.Port}"] }; // joined above

        Assert.Equal("certificate-foreign", (await Assert.ThrowsAsync<ErrorException>(() => misled.RenewAsync(null, Ct))).Error.Code);
    }

    [Fact]
    public async Task A_link_that_is_refused_says_why_on_its_own_host()
    {
        await using Lab lab = await Lab.StartAsync();
        await using Lab other = await Lab.StartAsync();
        FakeAgent agent = await lab.AddAgentAsync("lyon", "alpha");
        FakeAgent stranger = await other.AddAgentAsync("lyon", "stranger");

        await lab.Client.RemoveHostAsync("alpha", "sold", Ct);
        await stranger.RestartAsync(() => stranger.Rejoin(stranger.Membership! with { VaultUrls = [$"https://localhost:{lab.Port}"], CaCertificate = lab.CaCertificate }));

        await Lab.UntilAsync(() => Task.FromResult(agent.LinkState is { Connected: false, Error.Code: "host-removed" }));
        await Lab.UntilAsync(() => Task.FromResult(stranger.LinkState is { Connected: false, Error.Code: "certificate-foreign" }));
    }

    [Fact]
    public async Task An_agent_of_another_protocol_version_is_refused_by_name()
    {
        await using Lab lab = await Lab.StartAsync();
        FakeAgent agent = await lab.AddAgentAsync("lyon", "alpha");
        using ClientWebSocket socket = new();
        socket.Options.AddSubProtocol("understudy.control.9");
        socket.Options.CollectHttpResponseDetails = true;
        using SocketsHttpHandler handler = PinnedTls.Handler(lab.CaCertificate, agent.Membership!.ToCertificate()); // joined above
        using HttpMessageInvoker invoker = new(handler);

        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(new Uri($"wss://localhost:{lab.Port}{ControlLimits.Path}"), invoker, Ct));

        Assert.Equal(["version-mismatch"], socket.HttpResponseHeaders![ControlLimits.ErrorHeader]); // collected, as asked above
    }

    [Fact]
    public async Task Secrets_are_readable_for_their_owner_only()
    {
        await using Lab lab = await Lab.StartAsync();

        Assert.All(["ca.key", "admin.token"], file => Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(lab.Folder, file))));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(lab.Folder));
    }

    [Fact]
    public async Task A_key_file_is_written_and_read_back_and_nonsense_is_refused()
    {
        await using Lab lab = await Lab.StartAsync();
        await lab.Client.AddSiteAsync("lyon", Ct);
        RegistrationKeyFile key = await lab.Client.MakeKeyAsync("lyon", null, Ct);
        string path = Path.Combine(lab.Folder, key.FileName(lab.Time.GetUtcNow()));
        await File.WriteAllTextAsync(path, key.ToJson(), Ct);

        RegistrationKeyFile read = RegistrationKeyFile.Read(path);

        Assert.Matches(@"main_\d{4}-\d{2}-\d{2}\.understudy-key$", path);
        Assert.Equal((key.Secret, key.Site, key.ExpiresAt), (read.Secret, read.Site, read.ExpiresAt));
        await File.WriteAllTextAsync(path, "{ \"format\": \"something else\" }", Ct);
        Assert.Equal("value-unusable", Assert.Throws<ErrorException>(() => RegistrationKeyFile.Read(path)).Error.Code);
        await File.WriteAllTextAsync(path, "not JSON", Ct);
        Assert.Equal("value-unusable", Assert.Throws<ErrorException>(() => RegistrationKeyFile.Read(path)).Error.Code);
    }
}
