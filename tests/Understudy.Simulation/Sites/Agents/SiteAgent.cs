using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Replication.Calling;
using Understudy.Replication.Receiving;
using Understudy.Simulation.Machines;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>
/// One life of a host's agent: the engines of every VM that is protected from here or to here, bound to this host's models
/// as the executable binds them to the real things; and the orders of the vault, each carried out once.
/// </summary>
internal sealed class SiteAgent
{
    public const string Port = "replication";

    private readonly SitesWorld _world;
    private readonly Site _site;
    private readonly SimProcess _process;
    private readonly AgentOperations _operations;
    private readonly TaskCompletionSource _died = new();
    private long _requests;

    private SiteAgent(SitesWorld world, Site site, SimProcess process, OutcomeLog outcomes)
    {
        _world = world;
        _site = site;
        _process = process;
        SimRandom random = world.Random.Fork(10);
        var hypervisor = new MachineHypervisor(site.Machine, process, random.Fork(1));
        _operations = new AgentOperations(outcomes, world.Context.Logger);
        var guard = new GuardFolder(site.Host.Disk.OpenStore(process, GuardHook.Folder), site.Machine.Boot, site.Machine.UpSeconds);
        var ownership = new OwnershipServices(new WatchedGuard(guard, world), site.Machine.Boot, process.Time, world.Context.Logger);
        Target = new TargetSide(world, site, process, hypervisor, ownership, random.Fork(2), _died);
        Source = new SourceSide(world, site, process, hypervisor, ownership, guard, random.Fork(3), _died);
        TargetOrders.Register(_operations, Target);
        SourceOrders.Register(_operations, Source);
        _operations.On(LocalMethods.Claim, (request, _, ct) => OrderAnswer.Of(
            async () => new LocalClaimed(await Source.FindHost(request.Vm, request.Replica).ClaimAsync(request.Start, ct)))); // As the executable's LocalOrders.
    }

    public SourceSide Source { get; }

    public TargetSide Target { get; }

    public SimProcess Process => _process;

    public static async Task RunAsync(SitesWorld world, Site site, SimProcess process)
    {
        await MakeFolderAsync(site, process, "outcomes");
        await MakeFolderAsync(site, process, GuardHook.Folder);
        OutcomeLog outcomes = await OutcomeLog.OpenAsync(site.Host.Disk.OpenStore(process, "outcomes"), world.Context.Logger, default);
        var agent = new SiteAgent(world, site, process, outcomes);
        await agent.RunAsync();
    }

    public static async Task MakeFolderAsync(Site site, SimProcess process, string folder)
    {
        var root = site.Host.Disk.OpenStore(process, "");
        await root.CreateFolderAsync(folder, default);
        await root.FlushFolderAsync("", default);
        for (int slash = folder.IndexOf('/'); slash >= 0; slash = folder.IndexOf('/', slash + 1))
        {
            await root.FlushFolderAsync(folder[..slash], default);
        }
    }

    /// <summary>What the vault asks, in the agent's own process.</summary>
    public Task<ResponseMessage> AnswerAsync<TRequest, TAnswer>(AgentMethod<TRequest, TAnswer> method, OperationId? operation, TRequest body) =>
        _process.InvokeAsync(() => _operations.AnswerAsync(
            new RequestMessage(++_requests, operation, method.Name, System.Text.Json.JsonSerializer.SerializeToElement(body, method.Request)),
            static _ => { },
            default));

    public void Cancel(OperationId operation) => _operations.Cancel(operation);

    private async Task RunAsync()
    {
        var receiver = new ReplicationReceiver(Target, "simulation", _process.Time, new TraceLogger<ReplicationReceiver>(_world.Context.Logger), Source);
        Target.Caller = new ReplicationCaller(receiver, "simulation", _process.Time, new TraceLogger<ReplicationCaller>(_world.Context.Logger));
        _world.Network.Listen(_process, Port, async stream =>
        {
            if (await receiver.ServeAsync(stream, _world.PeerOf(_site).Id.Value, default) is not null)
            {
                await stream.DisposeAsync();
            }
        });
        await Target.OpenAllAsync();
        await Source.OpenAllAsync();
        _site.Agent = this;
        _process.AtEnd(_ => _site.Agent = null);
        Watch(Target.RunAsync());
        Watch(Source.RunAsync());
        await _died.Task;
    }

    private async void Watch(Task loop)
    {
        try
        {
            await loop;
        }
#pragma warning disable CA1031 // Whatever it was ends the process; the world judges it.
        catch (Exception fault)
#pragma warning restore CA1031
        {
            _died.TrySetException(fault);
        }
    }
}
