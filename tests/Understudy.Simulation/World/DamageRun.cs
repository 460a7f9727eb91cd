using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Journal;
using Understudy.Simulation.Agents;
using Understudy.Simulation.Checkers;
using Understudy.Simulation.Models;
using Understudy.Simulation.Running;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.World;

/// <summary>
/// The end of a run: bits of the replica's files flip without anyone being told, and the replica is read once more. What
/// it gives out must be right; what it cannot give out it must refuse as corrupt. With a feeder it first takes in and
/// applies another cycle, over blocks that may be damaged.
/// </summary>
internal sealed class DamageRun(RunContext context, SimHost target, ReplicaWatch watch, ReplicaSettings settings, Feeder? feeder = null)
{
    private readonly RunContext _context = context;
    private readonly SimRandom _random = context.Random.Fork(8);
    private readonly SimHost _target = target;
    private readonly ReplicaWatch _watch = watch;
    private readonly ReplicaSettings _settings = settings;
    private readonly Feeder? _feeder = feeder;

    public async Task RunAsync()
    {
        IReadOnlyList<StoreEntry> files = _target.Disk.ListAll($"replicas/{_watch.Id}");
        IReadOnlyList<StoreEntry> bases = _target.Disk.ListAll($"bases/{_watch.Id}");
        for (int i = _random.Between(1, 3); i > 0; i--)
        {
            StoreEntry file = _random.Pick(bases.Count > 0 && _random.Chance(0.5) ? bases : files);
            if (_target.Disk.FlipBit(file.Name, _random.NextLong(file.LengthBytes)))
            {
                _context.Counters.Add("strike: silent damage");
            }
        }

        SimProcess process = _target.Start("after damage", ReadAllAsync);
        await process.Ended;
        if (process.Failure is not (null or StorageException))
        {
            _context.Violations.Report("crash", process.Failure!.ToString());
        }
    }

    private async Task ReadAllAsync(SimProcess self)
    {
        var environment = new ReplicaEnvironment(
            _target.Disk.OpenStore(self, $"replicas/{_watch.Id}"),
            new SimBaseImages(_target, self, $"bases/{_watch.Id}"),
            self.Time,
            new SeededIds(_random.Fork(1)),
            _settings,
            _context.Logger);
        Replica replica = await Replica.OpenAsync(environment, default);
        await ApplyAnotherCycleAsync(replica, self);
        foreach (RecoveryPoint point in replica.Points)
        {
            if (_watch.Vm.FindCut(point.CutAt) is not { } cut)
            {
                _watch.Violate("damage", $"{point.Id} says it was cut at {point.CutAt:O}, and no cut was made then");
                return;
            }

            await ReadAsync(replica, point, cut);
        }
    }

    private async Task ApplyAnotherCycleAsync(Replica replica, SimProcess self)
    {
        if (_feeder is null)
        {
            return;
        }

        try
        {
            await _feeder.FeedAsync(replica, self.Time);
            await replica.FlushAsync(default);
            await replica.ApplyAsync(replica.Points[^1].Id, default);
        }
        catch (StorageException)
        {
            _context.Counters.Add("damage: apply refused");
        }
    }

    private async Task ReadAsync(Replica replica, RecoveryPoint point, Cut cut)
    {
        byte[] block = new byte[BlockSize.Bytes];
        for (ushort disk = 0; disk < cut.Disks.Count; disk++)
        {
            try
            {
                ReplicaView view = await replica.OpenViewAsync(point.Id, new Blocks.Identity.DiskId(disk), default);
                await using (view)
                {
                    for (int i = 0; i < cut.Disks[disk].BlockCount; i++)
                    {
                        ReadOnlyMemory<byte> content = await TryReadAsync(view, i, block);
                        if (!content.IsEmpty && !content.Span.SequenceEqual(cut.Disks[disk].Block(i)))
                        {
                            _watch.Violate("damage", $"block {i} of disk {disk} of {point.Id} was given out wrong after a bit had flipped");
                            return;
                        }
                    }
                }
            }
            catch (StorageException)
            {
                _context.Counters.Add("damage: refused");
            }
        }
    }

    private async Task<ReadOnlyMemory<byte>> TryReadAsync(ReplicaView view, int block, byte[] buffer)
    {
        long start = (long)block * BlockSize.Bytes;
        Memory<byte> part = buffer.AsMemory(0, (int)Math.Min(BlockSize.Bytes, view.SizeBytes - start));
        try
        {
            await view.ReadAsync(start, part, default);
            return part;
        }
        catch (StorageException damaged) when (damaged.Kind is FaultKind.Corrupt or FaultKind.Torn)
        {
            _context.Counters.Add("damage: refused");
            return default;
        }
    }
}
