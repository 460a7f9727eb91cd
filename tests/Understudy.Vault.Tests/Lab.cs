using System.Net;
using Microsoft.Extensions.Logging;
using Understudy.Api.Registration;
using Understudy.Api.Rest;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Backup;
using Understudy.Vault.Storage;

namespace Understudy.Vault.Tests;

/// <summary>A vault with its real port, TLS and database in a folder of its own, and agents that have joined it.</summary>
internal sealed class Lab : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-vault-").FullName;
    private readonly List<FakeAgent> _agents = [];
    private VaultServer? _server;
    private string _dataFolder = "data";

    private Lab(MovableTime time) => Time = time;

    /// <summary>The vault's clock: the real one, moved on by tests that need it.</summary>
    public MovableTime Time { get; }

    public VaultServer Server => _server ?? throw new InvalidOperationException("the vault is stopped");

    public VaultClient Client { get; private set; } = null!; // set by StartAsync

    public string Folder => Path.Combine(_folder, _dataFolder);

    public int Port { get; private set; }

    public string CaCertificate => File.ReadAllText(Path.Combine(Folder, "ca.crt"));

    public string Token => File.ReadAllText(Path.Combine(Folder, "admin.token")).Trim();

    /// <summary>How long a job waits for a host that has gone away.</summary>
    public TimeSpan HostReturnLimit { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>None: tests move the clock on, and mean that the time has passed.</summary>
    public TimeSpan ClockPatience { get; set; } = TimeSpan.Zero;

    public static async Task<Lab> StartAsync()
    {
        Lab lab = new(new MovableTime());
        await lab.StartVaultAsync();
        return lab;
    }

    /// <summary>A vault, site lyon with host alpha and VM web1, site berlin with host beta.</summary>
    public static async Task<(Lab Lab, FakeAgent Alpha, FakeAgent Beta)> WithTwoSitesAsync()
    {
        Lab lab = await StartAsync();
        FakeAgent alpha = await lab.AddAgentAsync("lyon", "alpha", Vm("web1"));
        FakeAgent beta = await lab.AddAgentAsync("berlin", "beta");
        alpha.Peer = beta;
        return (lab, alpha, beta);
    }

    public static DiscoveredVm Vm(string name) => new(
        new VmId(Guid.NewGuid()), name, VmPower.Running, 2, 1L << 30, "bios", "pc-q35-7.2", true, false, false,
        [
            new DiscoveredDisk("vda", "virtio", "disk", "qcow2", "file", $"/images/{name}-a.qcow2", 4L << 30, false, false),
            new DiscoveredDisk("vdb", "virtio", "disk", "qcow2", "file", $"/images/{name}-b.qcow2", 1L << 30, false, false),
        ],
        [new DiscoveredNic("52:54:00:00:00:01", "default", "virtio")]);

    public async Task StartVaultAsync()
    {
        VaultSettings settings = new()
        {
            DataFolder = Folder,
            Name = "main",
            Listen = new IPEndPoint(IPAddress.Loopback, Port == 0 ? FreePort() : Port),
            Time = Time,
            Ids = new RandomIds(),
            HostReturnLimit = HostReturnLimit,
            ClockPatience = ClockPatience,
        };
        settings = settings with { PublicUrls = [$"https://localhost:{settings.Listen.Port}"] };
        _server = await VaultServer.StartAsync(settings, logging => logging.ClearProviders(), CancellationToken.None);
        Port = _server.Port;
        Client = VaultClient.Create(new Uri($"https://localhost:{Port}"), Token, CaCertificate);
    }

    /// <summary>The vault's machine is lost, with all that was on it; another stands in its place, from a copy and the key.</summary>
    public async Task<RestoredVault> RestoreAsync(byte[] copy)
    {
        string copyFile = Path.Combine(_folder, "lost.understudy-vault");
        string keyFile = Path.Combine(_folder, "safe.key");
        await File.WriteAllBytesAsync(copyFile, copy);
        File.Copy(Path.Combine(Folder, RecoveryKey.FileName), keyFile, overwrite: true);
        await StopVaultAsync();
        Directory.Delete(Folder, recursive: true);
        _dataFolder = "restored";
        RestoredVault restored = await VaultRestore.RunAsync(copyFile, keyFile, Folder, Time, CancellationToken.None);
        await StartVaultAsync();
        return restored;
    }

    /// <summary>A look into the database, or a change of it, behind the vault's back.</summary>
    public VaultDb OpenDatabase() => new(VaultStorage.OptionsFor(Path.Combine(Folder, CopyMaker.Database)));

    /// <summary>For requests that the typed client would not make.</summary>
    public HttpClient Http()
    {
        HttpClient http = new(PinnedTls.Handler(CaCertificate)) { BaseAddress = new Uri($"https://localhost:{Port}") };
        http.DefaultRequestHeaders.Authorization = new("Bearer", Token);
        return http;
    }

    public async Task StopVaultAsync()
    {
        Client.Dispose();
        await Server.DisposeAsync();
        _server = null;
    }

    /// <summary>After a test has stopped the vault itself.</summary>
    public void ForgetVault()
    {
        Client.Dispose();
        _server = null;
    }

    public async Task<FakeAgent> AddAgentAsync(string site, string name, params DiscoveredVm[] vms)
    {
        FakeAgent agent = new(name);
        _agents.Add(agent);
        agent.Vms.AddRange(vms);
        if ((await Client.ListSitesAsync(CancellationToken.None)).All(present => present.Name != site))
        {
            await Client.AddSiteAsync(site, CancellationToken.None);
        }

        RegistrationKeyFile key = await Client.MakeKeyAsync(site, null, CancellationToken.None);
        await agent.JoinAsync(key);
        await agent.StartAsync();
        await UntilAsync(async () => (await Client.GetHostAsync(name, CancellationToken.None)).Online);
        return agent;
    }

    /// <summary>Protects the VM, with one point standing at the end.</summary>
    public async Task<ReplicaId> ProtectAsync(FakeAgent target, string vm)
    {
        ReplicaId[] others = [.. target.Replicas.Keys];
        JobDto job = await Client.ProtectAsync(vm, new ProtectDto(target.Name, "every-15s", null, null), CancellationToken.None);
        await UntilAsync(() => Task.FromResult(target.Replicas.Count > others.Length));
        ReplicaId replica = target.Replicas.Keys.Except(others).Single();
        target.AddPoint(replica, Time.GetUtcNow());
        Assert.Equal(JobState.Succeeded, (await EndOfAsync(job.Id)).State);
        return replica;
    }

    public async Task<ProtectionState> StateAsync(string vm) => (await Client.GetVmAsync(vm, CancellationToken.None)).State;

    /// <summary>A planned failover, to its end.</summary>
    public async Task FailOverAsync(string vm)
    {
        JobDto job = await Client.FailoverAsync(vm, new FailoverDto(false, null, null), CancellationToken.None);
        Assert.Equal(JobState.Succeeded, (await EndOfAsync(job.Id)).State);
    }

    public async Task<bool> HasEventAsync(string kind) => (await Client.ListEventsAsync(0, 1000, CancellationToken.None)).Any(news => news.Kind == kind);

    public async Task<JobDto> EndOfAsync(long job) => await UntilAsync(job, state => state.EndedAt is not null);

    public async Task<JobDto> UntilAsync(long job, Func<JobDto, bool> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        await foreach (JobDto state in Client.WatchJobAsync(job, limit.Token))
        {
            if (condition(state))
            {
                return state;
            }
        }

        JobDto last = await Client.GetJobAsync(job, CancellationToken.None);
        return condition(last) ? last : throw new InvalidOperationException($"the job ended as {last.State}: {last.Error}");
    }

    /// <summary>Asks again until it is so; for what arrives by a push and has no job to watch.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(20));
        while (!await condition())
        {
            await timer.WaitForNextTickAsync(limit.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (FakeAgent agent in _agents)
        {
            await agent.DisposeAsync();
        }

        if (_server is not null)
        {
            await StopVaultAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private static int FreePort()
    {
        using System.Net.Sockets.TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private sealed class RandomIds : IIdSource
    {
        public Guid NewGuid() => Guid.NewGuid();

        public UInt128 NewRandom128() => new((ulong)Random.Shared.NextInt64(), (ulong)Random.Shared.NextInt64());

        public double NextFraction() => Random.Shared.NextDouble();
    }
}

/// <summary>The system's clock, moved on by hand; timers are the system's.</summary>
internal sealed class MovableTime : TimeProvider
{
    private long _aheadTicks;

    public void Advance(TimeSpan by) => Interlocked.Add(ref _aheadTicks, by.Ticks);

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _aheadTicks));
}
