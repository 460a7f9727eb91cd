using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>
/// The shortest way from a VM to a replica, for runs that are about the replica alone: cuts the VM, makes the records of a
/// cycle and appends them, in the target's own process. What it remembers survives that process, as a source's does.
/// </summary>
internal sealed class Feeder(ModelVm vm, SimRandom random)
{
    private const int Sector = 512;

    private readonly ModelVm _vm = vm;
    private readonly SimRandom _random = random;
    private readonly List<Sent> _sent = [];
    private readonly RecordCodec _codec = new();
    private readonly byte[] _record = new byte[RecordHeader.SizeBytes + BlockSize.Bytes];

    /// <summary>The line its records carry.</summary>
    public LineId Line { get; set; }

    /// <summary>Leaves a block out of every cycle: a planted fault.</summary>
    public bool LosesABlock { get; set; }

    public long Checkpoints { get; private set; }

    /// <summary>What the records after one sequence up to another had in them.</summary>
    public IReadOnlyList<Touch> Touched(ulong after, ulong through) =>
        [.. _sent.Where(s => s.Sequence > after && s.Sequence <= through && s.Disk >= 0).Select(s => new Touch(s.Disk, s.Range))];

    /// <summary>One cycle: everything that changed since the last checkpoint the replica has, and a checkpoint.</summary>
    public async Task<AppendOutcome> FeedAsync(Replica replica, TimeProvider time)
    {
        ulong next = replica.ReceivedSequence + 1;
        _sent.RemoveAll(s => s.Sequence >= next);
        (Cut cut, DateTimeOffset at) = _vm.MakeCut($"feed-{Checkpoints}", time.GetUtcNow());
        _vm.DeleteCheckpoint($"feed-{Checkpoints}");
        foreach (Sent what in Plan(cut))
        {
            int size = Encode(what with { Sequence = next }, cut, at);

            // Before the answer, which may never come: the next cycle sees from the replica how far this one got.
            _sent.Add(what with { Sequence = next++ });
            AppendOutcome outcome = await replica.AppendAsync(_record.AsMemory(0, size), default);
            if (outcome is not AppendOutcome.Accepted)
            {
                return outcome;
            }
        }

        Checkpoints++;
        return new AppendOutcome.Duplicate();
    }

    /// <summary>A record as a source would send it that has not heard of any newer line.</summary>
    public static ReadOnlyMemory<byte> MakeRecord(LineId line, ulong sequence)
    {
        byte[] record = new byte[RecordHeader.SizeBytes];
        RecordCodec.EncodeZero(line, sequence, new DiskId(0), new ByteRange(0, BlockSize.Bytes), record);
        return record;
    }

    private List<Sent> Plan(Cut cut)
    {
        var plan = new List<Sent>();
        Sent? last = _sent.FindLast(s => s.Cut is not null);
        if (last is null && !_sent.Exists(s => s.Disk == Sent.Geometry))
        {
            plan.Add(new Sent(Sent.Geometry));
        }

        if (last is null || last.Cut!.DefinitionVersion != cut.DefinitionVersion)
        {
            plan.Add(new Sent(Sent.Definition));
        }

        HashSet<(int, int)> partial = [.. _sent.Where(s => s.Sequence > (last?.Sequence ?? 0) && s.Disk >= 0).Select(s => (s.Disk, s.Block))];
        for (int disk = 0; disk < cut.Disks.Count; disk++)
        {
            for (int block = 0; block < cut.Disks[disk].BlockCount; block++)
            {
                DiskImage? before = last?.Cut!.Disks[disk];
                if (partial.Contains((disk, block)) || before is null)
                {
                    plan.Add(new Sent(disk, block) { Range = cut.Disks[disk].RangeOf(block) });
                }
                else if (before.Reference(block) != cut.Disks[disk].Reference(block))
                {
                    plan.Add(new Sent(disk, block) { Range = PickRange(before, cut.Disks[disk], block) });
                }
            }
        }

        if (LosesABlock && plan.Count(s => s.Disk >= 0) > 1)
        {
            plan.RemoveAt(plan.FindIndex(s => s.Disk >= 0));
        }

        plan.Add(new Sent(Sent.Checkpoint) { Cut = cut });
        return plan;
    }

    /// <summary>The whole block, or only the sectors that differ: the format knows records of any sectors.</summary>
    private ByteRange PickRange(DiskImage before, DiskImage now, int block)
    {
        ByteRange whole = now.RangeOf(block);
        if (_random.Chance(0.5))
        {
            return whole;
        }

        int first = before.Block(block).CommonPrefixLength(now.Block(block)) / Sector;
        int last = (int)(whole.LengthBytes / Sector) - 1;
        while (last > first && before.Block(block).Slice(last * Sector, Sector).SequenceEqual(now.Block(block).Slice(last * Sector, Sector)))
        {
            last--;
        }

        return first > last ? whole : ByteRange.FromTo(whole.OffsetBytes + ((long)first * Sector), whole.OffsetBytes + ((long)(last + 1) * Sector));
    }

    private int Encode(Sent what, Cut cut, DateTimeOffset at)
    {
        switch (what.Disk)
        {
            case Sent.Geometry:
                var geometry = new GeometryBody([.. cut.Disks.Select((d, i) => new DiskGeometry(new DiskId((ushort)i), _vm.Targets[i], d.SizeBytes, DiskFormat.Qcow2))]);
                return _codec.EncodeGeometry(Line, what.Sequence, geometry, _record);
            case Sent.Definition:
                return _codec.EncodeDefinition(Line, what.Sequence, Encoding.UTF8.GetBytes(_vm.DefinitionXml), _record);
            case Sent.Checkpoint:
                return _codec.EncodeCheckpoint(Line, what.Sequence, new CheckpointBody { Kind = PointKind.Crash, CutAt = at }, _record);
            default:
                var disk = new DiskId((ushort)what.Disk);
                ReadOnlySpan<byte> content = cut.Disks[what.Disk].Block(what.Block)
                    .Slice((int)(what.Range.OffsetBytes % BlockSize.Bytes), (int)what.Range.LengthBytes);
                return content.IndexOfAnyExcept((byte)0) < 0 && _random.Chance(0.8)
                    ? RecordCodec.EncodeZero(Line, what.Sequence, disk, what.Range, _record)
                    : _codec.EncodeData(Line, what.Sequence, disk, what.Range.OffsetBytes, content, _record);
        }
    }

    private sealed record Sent(int Disk, int Block = 0)
    {
        public const int Geometry = -1;
        public const int Definition = -2;
        public const int Checkpoint = -3;

        public ulong Sequence { get; init; }

        public ByteRange Range { get; init; }

        public Cut? Cut { get; init; }
    }
}

/// <summary>A part of a disk that a record wrote.</summary>
internal readonly record struct Touch(int Disk, ByteRange Range);
