using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Api.Control;
using Understudy.Api.Registration;
using Understudy.Model;
using Understudy.Testing.Devices;

namespace Understudy.Vault.Tests;

/// <summary>
/// An agent with behaviour and without a hypervisor: joins with a real key, dials the vault's real control channel, and
/// keeps replicas, tests and runs as simple facts that the tests look at. What it is made of beyond that is the
/// product's own: link, operations, outcome log, and the rules of ownership.
/// </summary>
internal sealed partial class FakeAgent(string name) : IAsyncDisposable
{
    private readonly MemoryFileStore _store = new();
    private CancellationTokenSource _stopping = new();
    private OutcomeLog? _outcomes;
    private AgentOperations? _operations;
    private VaultLink? _link;
    private Task _running = Task.CompletedTask;

    public string Name => name;

    public AgentMembership? Membership { get; private set; }

    public VaultConnection LinkState => _link!.State; // once started

    public HostId Id => Membership!.Host; // set by JoinAsync

    public List<DiscoveredVm> Vms { get; } = [];

    public List<HostPool> Pools { get; } = [];

    public List<HostNetwork> Networks { get; } = [new("default", true, false, "virbr0")];

    public string Boot { get; set; } = "boot-1";

    /// <summary>Why libvirt there does not answer; null while it does.</summary>
    public string? HypervisorError { get; set; }

    /// <summary>Its replication port is open.</summary>
    public bool Listens { get; set; } = true;

    /// <summary>Where it says that other hosts reach it.</summary>
    public string Endpoint { get; set; } = $"{name}:7443";

    public long FreeBytes { get; set; } = 100L << 30;

    /// <summary>Every operation this agent has really carried out, by method; a repeated one is not in it twice.</summary>
    public ConcurrentQueue<(string Method, OperationId? Operation)> Done { get; } = new();

    /// <summary>What to do before a method is carried out: wait, throw, cut.</summary>
    public ConcurrentDictionary<string, Func<CancellationToken, Task>> Before { get; } = new();

    /// <summary>What to do after a method is carried out and before it is answered: its effect is durable, its outcome is not.</summary>
    public ConcurrentDictionary<string, Func<CancellationToken, Task>> After { get; } = new();

    public AgentError? Unreachable { get; set; }

    public TargetUnprotectRequest? LastUnprotected { get; private set; }

    /// <summary>What is removed had been failed over to this host and committed.</summary>
    public bool VmStays { get; set; }

    public string? LastConfigured { get; private set; }

    public async Task JoinAsync(RegistrationKeyFile key)
    {
        Membership = await AgentMembership.JoinAsync(
            key, new JoinOptions(Name, Name, "0.1.0", Endpoint, [Name, "127.0.0.1"], null), CancellationToken.None);
        await Membership.SaveAsync(_store, CancellationToken.None);
        Membership = await AgentMembership.LoadAsync(_store, CancellationToken.None);
    }

    /// <summary>While stopped: as if its identity file had been changed.</summary>
    public void Rejoin(AgentMembership membership) => Membership = membership;

    public async Task StartAsync()
    {
        _outcomes = await OutcomeLog.OpenAsync(_store, NullLogger.Instance, CancellationToken.None);
        _operations = new AgentOperations(_outcomes, NullLogger.Instance);
        Register(_operations);
        _link = new VaultLink(
            this,
            _ => ValueTask.FromResult(new AgentHello("0.1.0", Endpoint, Facts(), HypervisorError is null ? [.. Vms] : null, [.. Sources.Values.Concat(Retired.Values).Select(Report)], [.. Replicas.Values.Select(Report)])),
            _operations,
            TimeProvider.System,
            NullLogger.Instance);
        _running = _link.RunAsync(_stopping.Token);
    }

    /// <summary>As a kill would: nothing is said to the vault, operations end without an outcome.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await _running;
        await _operations!.DisposeAsync(); // started before
        await _outcomes!.DisposeAsync();
    }

    /// <summary>A new process on the same state.</summary>
    /// <param name="between">While nothing of the agent runs.</param>
    public async Task RestartAsync(Action? between = null)
    {
        if (!_stopping.IsCancellationRequested)
        {
            await StopAsync();
        }

        between?.Invoke();
        _stopping.Dispose();
        _stopping = new CancellationTokenSource();
        await StartAsync();
    }

    public void Say(string kind) => _link!.Post(new AgentEvent(TimeProvider.System.GetUtcNow(), HealthLevel.Normal, kind, null, "said")); // once started

    public void PostInventory() => _link!.Post(new Inventory([.. Vms]));

    public async ValueTask DisposeAsync()
    {
        await _trial;
        if (_link is not null && !_stopping.IsCancellationRequested)
        {
            await StopAsync();
        }

        _stopping.Dispose();
    }

    private HostFacts Facts() => new(
        Name, "0.1.0", HypervisorError, "9.0.0", "7.2.22", true, 4, 16L << 30, 8L << 30, ["pc-q35-7.2"], [.. Networks],
        new StorageSpace("/var/lib/understudy/replicas", FreeBytes, 200L << 30, null),
        new StorageSpace("/var/lib/understudy/spool", 50L << 30, 50L << 30, null), Boot: Boot, Visible: Visible, DisplayName: Membership!.Name, Proxy: Proxy, CpuModel: "EPYC-Rome", Firmwares: ["bios", "efi"], Listens: Listens, Pools: [.. Pools]); // joined before

    private void Register(AgentOperations operations)
    {
        On(operations, AgentMethods.HostFacts, _ => new HostFactsAnswer(Facts(), TimeProvider.System.GetUtcNow()));
        On(operations, AgentMethods.PeerCheck, _ => new PeerCheckAnswer(Unreachable?.Error));
        On(operations, AgentMethods.HostListen, request =>
        {
            Listens = request.Listens;
            return new HostFactsAnswer(Facts(), TimeProvider.System.GetUtcNow());
        });
        RegisterSource(operations);
        RegisterTarget(operations);
        RegisterPoints(operations);
        RegisterAdministration(operations);
    }

    private void On<TRequest, TAnswer>(AgentOperations operations, AgentMethod<TRequest, TAnswer> method, Func<TRequest, TAnswer> behaviour) =>
        operations.On(method, async (request, context, cancellationToken) =>
        {
            if (Before.TryGetValue(method.Name, out Func<CancellationToken, Task>? before))
            {
                await before(cancellationToken);
            }

            Done.Enqueue((method.Name, context.Operation));
            TAnswer answer = behaviour(request);
            if (After.TryGetValue(method.Name, out Func<CancellationToken, Task>? after))
            {
                await after(cancellationToken);
            }

            return answer;
        });
}
