using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Models;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Agents;

/// <summary>
/// One replica in one life of the target's process: opens it, has it checked, and carries out what the world orders
/// (apply, pins, a new line, a drop). Every order is told to the watch before it is given and when it was answered.
/// </summary>
internal sealed class ReplicaKeeper
{
    private readonly ReplicaWatch _watch;
    private readonly SimProcess _process;
    private readonly SimRandom _random;
    private readonly SeededIds _ids;

    private ReplicaKeeper(ReplicaWatch watch, SimProcess process, SimRandom random, Replica replica, SeededIds ids)
    {
        _watch = watch;
        _process = process;
        _random = random;
        _ids = ids;
        Replica = replica;
        Checker = new PointChecker(watch, process, random);
    }

    public Replica Replica { get; }

    public PointChecker Checker { get; }

    public ReplicaWatch Watch => _watch;

    public static async Task<ReplicaKeeper> OpenAsync(
        ReplicaWatch watch, SimProcess process, ReplicaSettings settings, SimRandom random, ILogger logger)
    {
        SimHost host = process.Host ?? throw new InvalidOperationException("a replica lives on a host");
        var ids = new SeededIds(random.Fork(1));
        var environment = new ReplicaEnvironment(
            host.Disk.OpenStore(process, $"replicas/{watch.Id}"),
            new SimBaseImages(host, process, $"bases/{watch.Id}"),
            process.Time,
            ids,
            settings,
            logger);
        Replica replica = await OpenOrCreateAsync(watch, host, environment, process);
        watch.Opened(replica);
        var keeper = new ReplicaKeeper(watch, process, random, replica, ids);
        await keeper.CheckAllAsync();
        await keeper.CheckDivergenceAsync();
        return keeper;
    }

    /// <summary>All listed and all pinned points, byte for byte.</summary>
    public async Task CheckAllAsync()
    {
        await Checker.CheckAllAsync(Replica);
        foreach ((PinId pin, RecoveryPoint point) in _watch.Pins.ToArray())
        {
            if (!Replica.Status.Pins.Any(p => p.Id == pin))
            {
                _watch.Violate("pins", $"pin {pin} of {point.Id} is gone");
            }
            else
            {
                await Checker.CheckAsync(Replica, point);
            }
        }

        _watch.Look(Replica);
    }

    /// <summary>Moves the oldest point forward; null when the point was gone before it could begin.</summary>
    public async Task<ApplyOutcome?> ApplyAsync(RecoveryPoint to)
    {
        try
        {
            _watch.OrderOldest(to.Sequence);
            ApplyOutcome outcome = await Replica.ApplyAsync(to.Id, default);
            _watch.Look(Replica);
            return outcome;
        }
        catch (StorageException gone) when (gone.Kind == FaultKind.Missing && !IsListed(to))
        {
            return null; // A failover that went on beside it has dropped the point.
        }
    }

    public async Task PinAsync(RecoveryPoint point)
    {
        try
        {
            PinId pin = await Replica.AddPinAsync(point.Id, "simulation", default);
            _watch.Pins[pin] = point;
        }
        catch (StorageException gone) when (gone.Kind == FaultKind.Missing && !IsListed(point))
        {
            // Apply or a failover was faster.
        }
    }

    public async Task UnpinAsync(PinId pin)
    {
        _watch.Pins.Remove(pin);
        await Replica.RemovePinAsync(pin, default);
    }

    /// <summary>
    /// What an unplanned failover does to a replica: the line is minted first, then what is newer than the parent is
    /// dropped. Called again after a restart it goes on where the last life was killed.
    /// </summary>
    /// <param name="touched">What records after one sequence up to another had in them, as the sender knows it.</param>
    public async Task TakeOverAsync(RecoveryPoint parent, Func<ulong, ulong, IReadOnlyList<Touch>> touched)
    {
        // Also pins that nobody knows of, because the answer to adding them never came.
        foreach (PinStatus pin in Replica.Status.Pins)
        {
            if (pin.Point.Sequence > parent.Sequence)
            {
                await UnpinAsync(pin.Id);
            }
        }

        if (_watch.Failover is null && !IsListed(parent))
        {
            return; // Apply has moved past it while a pin was let go.
        }

        LineOrder order = _watch.Failover ??= new LineOrder(new LineId(_watch.Line.Counter + 1, _ids.NewRandom128()), parent.Id);
        _watch.OrderDrop(new Drop(parent.Id, touched(parent.Sequence, Replica.ReceivedSequence), Replica.Status.Divergence.Count));
        if (Replica.Line != order.Line && !await TryMintAsync(order))
        {
            _watch.Failover = null;
            _watch.DropCancelled();
            return;
        }

        await Replica.DropAfterAsync(parent.Id, default);
        _watch.DropAnswered();
        _watch.Failover = null;
        _watch.Look(Replica);
        await CheckDivergenceAsync();
    }

    /// <summary>False when apply was faster than the order and its point is gone.</summary>
    private async Task<bool> TryMintAsync(LineOrder order)
    {
        try
        {
            _watch.OrderLine(order);
            await Replica.MintLineAsync(order.Line, order.Parent, "failover", default);
            _watch.LineAnswered();
            return true;
        }
        catch (StorageException gone) when (gone.Kind == FaultKind.Missing && !Replica.Points.Any(p => p.Id == order.Parent))
        {
            _watch.LineRefused();
            return false;
        }
    }

    /// <summary>Everything that dropped records had touched is still known.</summary>
    public async Task CheckDivergenceAsync()
    {
        foreach (Drop drop in _watch.Drops)
        {
            IReadOnlyDictionary<DiskId, ExtentSet> noted = await Replica.ReadDivergenceAsync(drop.Parent, default);
            foreach (Touch touch in drop.Touched)
            {
                if (!noted.TryGetValue(new DiskId((ushort)touch.Disk), out ExtentSet? extents) || !extents.Contains(touch.Range))
                {
                    _watch.Violate("divergence", $"{touch.Range} of disk {touch.Disk} was touched by records dropped after {drop.Parent}, and is not noted");
                    return;
                }
            }
        }
    }

    private bool IsListed(RecoveryPoint point) => Replica.Points.Any(p => p.Id == point.Id);

    private static async Task<Replica> OpenOrCreateAsync(
        ReplicaWatch watch, SimHost host, ReplicaEnvironment environment, SimProcess process)
    {
        if (watch.IsCreated)
        {
            return await Replica.OpenAsync(environment, default);
        }

        // The agent's own part: the replica's folder, durable by name.
        var root = host.Disk.OpenStore(process, "");
        await root.CreateFolderAsync($"replicas/{watch.Id}", default);
        await root.FlushFolderAsync("", default);
        await root.FlushFolderAsync("replicas", default);
        try
        {
            Replica made = await Replica.CreateAsync(environment, new NewReplica(watch.Id, watch.Vm.Id, watch.Line, "protection", AwaitsSeed: watch.Seed is not null), default);
            watch.IsCreated = true;
            return made;
        }
        catch (StorageException there) when (there.Kind == FaultKind.Exists)
        {
            watch.IsCreated = true; // Made by the life before, which never heard the answer.
            return await Replica.OpenAsync(environment, default);
        }
    }
}
