using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Agents;

/// <summary>
/// The target agent's data plane in one life of its process: opens all replicas, receives, moves oldest points forward,
/// pins, reads, and fails over when it is told to. It is crash-only: a replica that fails ends the process.
/// </summary>
internal sealed class TargetAgent : IReplicaDirectory
{
    public const string Port = "replication";

    private readonly RunContext _context;
    private readonly SimProcess _process;
    private readonly SimRandom _random;
    private readonly ReplicaSettings _settings;
    private readonly IReadOnlyList<ReplicaWatch> _watches;
    private readonly TimeSpan _retention;
    private readonly List<ReplicaKeeper> _keepers = [];
    private readonly TaskCompletionSource _died = new();

    public TargetAgent(RunContext context, SimProcess process, IReadOnlyList<ReplicaWatch> watches, ReplicaSettings settings, SimRandom random)
    {
        _context = context;
        _process = process;
        _watches = watches;
        _settings = settings;
        _random = random;
        _retention = random.Between(TimeSpan.FromSeconds(20), TimeSpan.FromMinutes(4));
    }

    public async Task RunAsync(SimNetwork network)
    {
        foreach (ReplicaWatch watch in _watches)
        {
            _keepers.Add(await ReplicaKeeper.OpenAsync(watch, _process, _settings, _random.Fork(1), _context.Logger));
        }

        var receiver = new ReplicationReceiver(this, "simulation", _process.Time, new TraceLogger<ReplicationReceiver>(_context.Logger));
        network.Listen(_process, Port, async stream =>
        {
            await using (stream)
            {
                await receiver.ServeAsync(stream, Guid.Empty, default);
            }
        });
        foreach (ReplicaKeeper keeper in _keepers)
        {
            Watch(KeepHouseAsync(keeper));
            if (keeper.Watch.Seed is { } seed)
            {
                Watch(TakeSeedAsync(keeper, seed));
            }
        }

        await _died.Task;
    }

    public ValueTask<DirectoryAnswer> FindAsync(ControlFrame.Hello hello, Guid agentId, CancellationToken cancellationToken)
    {
        ReplicaKeeper? found = _keepers.Find(k => k.Watch.Id == hello.Replica);
        DirectoryAnswer answer = found is null
            ? new DirectoryAnswer.Refused(new Refusal(RefusalCode.UnknownReplica, FaultClass.NeedsOperator, "no such replica", "-"))
            : new DirectoryAnswer.Found(new WatchingSink(found, fault => _died.TrySetException(fault)));
        return ValueTask.FromResult(answer);
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

    private async Task KeepHouseAsync(ReplicaKeeper keeper)
    {
        ulong newestChecked = keeper.Watch.Newest?.Sequence ?? 0;
        while (true)
        {
            await _process.TakeTimeAsync(_random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(8)));
            if (keeper.Replica.Points is [.., var newest] && newest.Sequence > newestChecked)
            {
                await keeper.Checker.CheckAsync(keeper.Replica, newest);
                newestChecked = newest.Sequence;
            }

            if (keeper.Watch.FailoverWanted || keeper.Watch.Failover is not null)
            {
                await FailOverAsync(keeper);
            }
            else
            {
                await MaintainAsync(keeper);
            }

            _context.Counters.Add("points checked byte for byte", keeper.Checker.TakePointsChecked());
        }
    }

    private async Task TakeSeedAsync(ReplicaKeeper keeper, ModelSeed seed)
    {
        while (keeper.Replica.AwaitsSeed)
        {
            await _process.TakeTimeAsync(_random.Between(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(3)));
            try
            {
                if (await keeper.Replica.TakeSeedAsync(seed.For(_process), default) is SeedOutcome.Taken)
                {
                    _context.Counters.Add("replica: began with a seed");
                }
            }
            catch (SeedUnreadableException unreadable)
            {
                seed.Failed(unreadable.Disk);
                _context.Counters.Add("replica: seed out of reach");
            }
        }
    }

    private async Task MaintainAsync(ReplicaKeeper keeper)
    {
        if (RetentionPlan.ChooseOldest(keeper.Replica.Points, _process.Time.GetUtcNow(), _retention) is { } oldest
            && (oldest.Sequence > keeper.Replica.Status.AppliedSequence || keeper.Replica.Status.ApplyingTo is not null))
        {
            Task applying = keeper.ApplyAsync(oldest);
            if (_random.Chance(0.3))
            {
                await keeper.CheckAllAsync(); // Beside the apply.
            }

            await applying;
            _context.Counters.Add("replica: apply");
        }

        if (_random.Chance(0.05) && keeper.Watch.Pins.Count < 2 && keeper.Replica.Points.Count > 0)
        {
            await keeper.PinAsync(_random.Pick(keeper.Replica.Points));
            _context.Counters.Add("replica: pin");
        }
        else if (_random.Chance(0.1) && keeper.Watch.Pins.Count > 0)
        {
            await keeper.UnpinAsync(keeper.Watch.Pins.Keys.Order().First());
        }
    }

    /// <summary>At replica level: a line for this side, newer points dropped, and all of the rest applied.</summary>
    private async Task FailOverAsync(ReplicaKeeper keeper)
    {
        Replica replica = keeper.Replica;
        bool isOurs = keeper.Watch.Line != keeper.Watch.FirstLine && keeper.Watch.Failover is null;
        RecoveryPoint? parent = keeper.Watch.Failover is { } order ? replica.Points.FirstOrDefault(p => p.Id == order.Parent)
            : isOurs ? replica.Points[^1]
            : replica.Points.Count > 0 ? _random.Pick(replica.Points)
            : null;
        if (parent is null)
        {
            if (keeper.Watch.Failover is { } lost)
            {
                keeper.Watch.Violate("lines", $"the point {lost.Parent} at which the current line begins is gone");
            }

            return;
        }

        if (!isOurs)
        {
            await keeper.TakeOverAsync(parent, keeper.Watch.Touched);
        }

        if (keeper.Watch.Line != keeper.Watch.FirstLine && keeper.Watch.Failover is null)
        {
            await keeper.ApplyAsync(parent);
            keeper.Watch.FailedOver(parent);
            _context.Counters.Add("replica: failover");
        }
    }
}
