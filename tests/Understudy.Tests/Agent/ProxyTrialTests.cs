using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Blocks.Storage;
using Understudy.Model;
using Understudy.Vault;

namespace Understudy.Tests.Agent;

/// <summary>REG-3: the way to the vault is changed without the host being cut off; a real vault, link and proxy.</summary>
public sealed class ProxyTrialTests : IAsyncLifetime
{
    /// <summary>This host by a name or address that may go through a proxy, as "localhost" and loopback addresses never do: its
    /// own name, or where nothing knows that, the address of a NIC.</summary>
    private static readonly (string Name, IPAddress Address) ThisHost = FindThisHost();

    private readonly string _folder = Directory.CreateTempSubdirectory("us-proxy-").FullName;
    private readonly AheadTime _time = new();
    private CancellationTokenSource _stop = new();
    private VaultServer _vault = null!; // set by InitializeAsync, as the next three
    private VaultClient _client = null!;
    private OutcomeLog _outcomes = null!;
    private AgentOperations _operations = null!;
    private AgentSettings _settings = null!; // set by StartAgentAsync, as the next three
    private VaultLink _link = null!;
    private ProxyTrials _trials = null!;
    private Task _running = Task.CompletedTask;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        string data = Path.Combine(_folder, "vault");
        int port = FreePort();
        _vault = await VaultServer.StartAsync(
            new VaultSettings
            {
                DataFolder = data,
                Name = "main",
                Listen = new IPEndPoint(ThisHost.Address, port),
                Time = TimeProvider.System,
                Ids = new SystemIds(),
                PublicUrls = [$"https://{ThisHost.Name}:{port}"],
            },
            logging => logging.ClearProviders(),
            Ct);
        _client = VaultClient.Create(new Uri($"https://{ThisHost.Name}:{port}"), (await File.ReadAllTextAsync(Path.Combine(data, "admin.token"), Ct)).Trim(), await File.ReadAllTextAsync(Path.Combine(data, "ca.crt"), Ct));
        _outcomes = await OutcomeLog.OpenAsync(new FolderStore(Directory.CreateDirectory(Path.Combine(_folder, "outcomes")).FullName), NullLogger.Instance, Ct);
        _operations = new AgentOperations(_outcomes, NullLogger.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAgentAsync();
        _client.Dispose();
        await _operations.DisposeAsync();
        await _outcomes.DisposeAsync();
        await _vault.DisposeAsync();
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_host_joins_through_a_proxy_and_keeps_to_it()
    {
        await using ConnectProxy proxy = new();

        await JoinAsync(proxy.Url);
        await StartAgentAsync();

        await UntilAsync(() => _link.Connected);
        Assert.True(proxy.Tunnels >= 2, "joining or the link went past it"); // one each
    }

    [Fact]
    public async Task A_new_proxy_is_kept_once_the_vault_was_reached_through_it_and_none_as_well()
    {
        await using ConnectProxy proxy = new();
        await JoinAsync(null);
        await StartAgentAsync();
        await UntilAsync(() => _link.Connected);

        await _trials.BeginAsync(proxy.Url, Ct);
        await UntilAsync(() => _settings.ProxyState is { OnTrial: false });
        Assert.Equal((1, proxy.Url), (proxy.Tunnels, (await StoredAsync()).Proxy));
        Assert.Null((await StoredAsync()).ProxyTrial);
        Assert.True(_link.Connected);

        await _trials.BeginAsync(null, Ct);
        await UntilAsync(() => _settings.ProxyState is { OnTrial: false } && _link.Through is { Proxy: null });
        Assert.Null((await StoredAsync()).Proxy);
        await UntilAsync(async () => (await _client.ListEventsAsync(0, 100, Ct)).Count(news => news.Kind == "proxy-changed") == 2);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_proxy_that_leads_nowhere_is_given_up_and_the_vault_is_told_why(bool answers)
    {
        await using ConnectProxy wall = new(refuses: true);
        string url = answers ? wall.Url : $"http://127.0.0.1:{FreePort()}";
        await JoinAsync(null);
        await StartAgentAsync();
        await UntilAsync(() => _link.Connected);

        await _trials.BeginAsync(url, Ct);
        Assert.Equal(url, (await StoredAsync()).Proxy);
        Assert.NotNull((await StoredAsync()).ProxyTrial);
        await UntilAsync(() => !_link.Connected && _link.State.Error is { } error && error.Why.Length > 0);
        _time.Advance(ProxyState.TrialLimit + TimeSpan.FromSeconds(1));

        await UntilAsync(() => _link.Connected);
        Assert.Equal((null, false), (_settings.ProxyState.Proxy, _settings.ProxyState.OnTrial));
        Assert.Contains($"the proxy {url} within 1min", _settings.ProxyState.Problem, StringComparison.Ordinal);
        Assert.Null((await StoredAsync()).Proxy);
        await UntilAsync(async () => (await _client.ListEventsAsync(0, 100, Ct)).Any(news => news is { Kind: "proxy-given-up", Severity: HealthLevel.Warning }));
    }

    [Fact]
    public async Task An_agent_that_was_killed_during_a_trial_goes_back_as_well()
    {
        await JoinAsync(null);
        await StartAgentAsync();
        await UntilAsync(() => _link.Connected);
        await _trials.BeginAsync($"http://127.0.0.1:{FreePort()}", Ct);
        await StopAgentAsync();
        Assert.NotNull((await StoredAsync()).ProxyTrial);

        await StartAgentAsync();
        await UntilAsync(() => _link.State.Error is not null);
        _time.Advance(ProxyState.TrialLimit + TimeSpan.FromSeconds(1));

        await UntilAsync(() => _link.Connected);
        Assert.Null((await StoredAsync()).Proxy);
    }

    [Fact]
    public async Task A_host_that_is_cut_off_uses_a_new_proxy_at_once_and_has_nothing_to_go_back_to()
    {
        await using ConnectProxy proxy = new();
        await JoinAsync(null);
        await new AgentSettings(new FolderStore(_folder), await StoredAsync()).UseProxyAsync($"http://127.0.0.1:{FreePort()}", Ct);
        await StartAgentAsync();
        await UntilAsync(() => _link.State.Error is not null);

        await _trials.BeginAsync(proxy.Url, Ct);

        await UntilAsync(() => _link.Connected);
        Assert.Equal((proxy.Url, false), (_settings.ProxyState.Proxy, _settings.ProxyState.OnTrial));
    }

    private async Task JoinAsync(string? proxy)
    {
        await _client.AddSiteAsync("lyon", Ct);
        RegistrationKeyFile key = await _client.MakeKeyAsync("lyon", null, Ct);
        string file = Path.Combine(_folder, "lyon.understudy-key");
        await File.WriteAllTextAsync(file, key.ToJson(), Ct);
        await AgentJoin.JoinAsync(file, _folder, "alpha", Config() with { Proxy = proxy }, Ct);
    }

    private AgentConfig Config() => new()
    {
        Listen = "127.0.0.1:7443",
        Advertise = "alpha:7443",
        LibvirtUri = "test:///default",
        ReplicasFolder = Path.Combine(_folder, "replicas"),
        ImagesFolder = Path.Combine(_folder, "images"),
        SpoolFolder = Path.Combine(_folder, "spool"),
        GuestLogFolder = Path.Combine(_folder, "logs"),
        RunFolder = Path.Combine(_folder, "run"),
    };

    private async Task StartAgentAsync()
    {
        FolderStore store = new(_folder);
        _settings = new AgentSettings(store, await StoredAsync());
        AgentIdentity identity = new(store, await AgentIdentity.LoadAsync(_folder, Ct), _settings, TimeProvider.System, NullLogger.Instance);
        HostFacts facts = Facts.Unreachable("there is none", new StorageSpace("/r", 1, 1, null), new StorageSpace("/s", 1, 1, null));
        _link = new VaultLink(identity, _ => ValueTask.FromResult(new AgentHello("0.1.0", "alpha:7443", facts, [], [], [])), _operations, TimeProvider.System, NullLogger.Instance);
        _trials = new ProxyTrials(_settings, _link, _ => Task.CompletedTask, _time, NullLogger.Instance);
        _running = Task.WhenAll(_link.RunAsync(_stop.Token), EndedAsync(_trials.RunAsync(_stop.Token)));
    }

    private async Task StopAgentAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
        _stop = new CancellationTokenSource();
    }

    private static async Task EndedAsync(Task running)
    {
        try
        {
            await running;
        }
        catch (OperationCanceledException)
        {
            // The way to stop.
        }
    }

    private ValueTask<AgentConfig> StoredAsync() => AgentConfig.ReadAsync(_folder, Ct);

    private static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(20));
        while (!await condition())
        {
            await timer.WaitForNextTickAsync(limit.Token);
        }
    }

    private static (string Name, IPAddress Address) FindThisHost()
    {
        try
        {
            return (Dns.GetHostName(), Dns.GetHostAddresses(Dns.GetHostName(), AddressFamily.InterNetwork)[0]);
        }
        catch (SocketException)
        {
            IPAddress address = NetworkInterface.GetAllNetworkInterfaces()
                .SelectMany(nic => nic.GetIPProperties().UnicastAddresses)
                .Select(known => known.Address)
                .First(known => known.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(known));
            return (address.ToString(), address);
        }
    }

    private static int FreePort()
    {
        using TcpListener listener = new(ThisHost.Address, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The system's clock, whose stretches of time can be made longer; timers are the system's.</summary>
    private sealed class AheadTime : TimeProvider
    {
        private long _ahead;

        public void Advance(TimeSpan by) => Interlocked.Add(ref _ahead, (long)(by.TotalSeconds * TimestampFrequency));

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _ahead);
    }
}
