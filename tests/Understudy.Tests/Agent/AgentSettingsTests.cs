using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Tests.CommandLine;

namespace Understudy.Tests.Agent;

/// <summary>REG-3 and REG-8 at the host: where the vault is, the way to it, and which of two vaults is obeyed.</summary>
public sealed class AgentSettingsTests : IDisposable
{
    private static readonly Uri Url = new("https://vault:443");

    private readonly string _folder = Directory.CreateTempSubdirectory("us-agent-").FullName;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task An_older_vault_is_not_obeyed_once_the_restored_one_has_been_met_not_even_after_a_restart()
    {
        AgentIdentity identity = await JoinedAsync();
        Assert.Null(await identity.MeetAsync(new VaultGreeting(Url, 1, "0.1.0"), Ct));
        Assert.Null(await identity.MeetAsync(new VaultGreeting(Url, 2, "0.1.0"), Ct));

        Assert.Equal("vault-outdated", (await identity.MeetAsync(new VaultGreeting(Url, 1, "0.1.0"), Ct))?.Code);
        AgentIdentity restarted = await LoadAsync();
        Assert.Equal("vault-outdated", (await restarted.MeetAsync(new VaultGreeting(Url, 1, "0.1.0"), Ct))?.Code);
        Assert.Null(await restarted.MeetAsync(new VaultGreeting(Url, 2, "0.1.0"), Ct));
    }

    [Fact]
    public async Task The_vaults_address_and_the_proxy_are_changed_while_no_agent_runs()
    {
        await JoinedAsync();

        CommandRun vault = await CommandRun.OfAsync(["agent", "vault", "--url", "https://new:443", "--url", "https://newer:444", "--data", _folder]);
        CommandRun proxy = await CommandRun.OfAsync(["local", "set", "--proxy", "http://proxy:3128", "--visible", "web*,tag:prod", "--data", _folder]);

        Assert.Equal((0, 0), (vault.ExitCode, proxy.ExitCode));
        VaultLinkSettings settings = (await LoadAsync()).Settings;
        Assert.Equal(["https://new/", "https://newer:444/"], settings.Urls.Select(url => url.ToString()));
        Assert.Equal(new Uri("http://proxy:3128"), settings.Proxy);
        Assert.Equal("web*,tag:prod", (await AgentConfig.ReadAsync(_folder, Ct)).Visible);
        Assert.Equal(0, (await CommandRun.OfAsync(["local", "set", "--no-proxy", "--data", _folder])).ExitCode);
        Assert.Null((await LoadAsync()).Settings.Proxy);
    }

    [Fact]
    public async Task A_running_agent_uses_a_new_address_for_its_next_connection()
    {
        AgentIdentity identity = await JoinedAsync();

        await identity.UseVaultAsync(["https://new:443"], Ct);

        Assert.Equal("https://new/", Assert.Single(identity.Settings.Urls).ToString());
        Assert.Equal("https://new/", Assert.Single((await LoadAsync()).Settings.Urls).ToString());
    }

    [Theory]
    [InlineData("agent vault --url http://vault")]
    [InlineData("agent vault --url vault:443")]
    [InlineData("local set --proxy proxy:3128")]
    [InlineData("local set --proxy socks5://proxy")]
    [InlineData("local set --proxy http://proxy:3128 --no-proxy")]
    [InlineData("local set --visible web*,,tag:prod")]
    [InlineData("local set --visible tag:")]
    [InlineData("local set")]
    public async Task What_cannot_be_used_is_refused_before_anything_is_changed(string line)
    {
        await JoinedAsync();
        string before = await File.ReadAllTextAsync(Path.Combine(_folder, "agent.json"), Ct) + await File.ReadAllTextAsync(Path.Combine(_folder, "identity.json"), Ct);

        CommandRun run = await CommandRun.OfAsync([.. line.Split(' '), "--data", _folder]);

        Assert.Equal(2, run.ExitCode);
        Assert.Equal(before, await File.ReadAllTextAsync(Path.Combine(_folder, "agent.json"), Ct) + await File.ReadAllTextAsync(Path.Combine(_folder, "identity.json"), Ct));
    }

    private async Task<AgentIdentity> JoinedAsync()
    {
        FolderStore store = new(_folder);
        await new AgentMembership(new HostId(Guid.NewGuid()), "beta", "berlin", [Url.ToString()], ["beta"], "ca", "certificate", "key").SaveAsync(store, Ct);
        await new AgentConfig
        {
            Listen = "0.0.0.0:7443",
            Advertise = "beta:7443",
            LibvirtUri = "test:///default",
            ReplicasFolder = Path.Combine(_folder, "replicas"),
            ImagesFolder = Path.Combine(_folder, "images"),
            SpoolFolder = Path.Combine(_folder, "spool"),
            GuestLogFolder = Path.Combine(_folder, "logs"),
            RunFolder = Path.Combine(_folder, "run"),
        }.WriteAsync(store, Ct);
        return await LoadAsync();
    }

    private async Task<AgentIdentity> LoadAsync()
    {
        FolderStore store = new(_folder);
        return new AgentIdentity(
            store, await AgentIdentity.LoadAsync(_folder, Ct), new AgentSettings(store, await AgentConfig.ReadAsync(_folder, Ct)), TimeProvider.System, NullLogger.Instance);
    }
}
