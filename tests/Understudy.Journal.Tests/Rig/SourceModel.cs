using System.Text;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal.Tests.Rig;

/// <summary>A VM's disks as plain arrays, and the records that a source would make of each change. The reference for everything.</summary>
internal sealed class SourceModel(LineId line)
{
    public const string DefinitionPrefix = "<domain><name>model</name><memory>";

    private readonly RecordCodec _codec = new();
    private readonly byte[] _record = new byte[RecordLimits.MaxRecordBytes];

    public LineId Line { get; set; } = line;

    /// <summary>Of the last record made.</summary>
    public ulong Sequence { get; set; }

    public GeometryBody Geometry { get; private set; } = new([]);

    public SortedDictionary<DiskId, byte[]> Disks { get; private set; } = [];

    public string? Definition { get; private set; }

    public byte[] SetGeometry(params DiskGeometry[] disks)
    {
        Geometry = new GeometryBody(disks);
        SortedDictionary<DiskId, byte[]> contents = [];
        foreach (DiskGeometry disk in disks)
        {
            byte[] content = new byte[disk.SizeBytes];
            Disks.GetValueOrDefault(disk.Disk)?.CopyTo(content, 0);
            contents.Add(disk.Disk, content);
        }

        Disks = contents;
        return Whole(_codec.EncodeGeometry(Line, ++Sequence, Geometry, _record));
    }

    public byte[] SetDefinition(int memory)
    {
        Definition = DefinitionPrefix + memory + "</memory></domain>";
        return Whole(_codec.EncodeDefinition(Line, ++Sequence, Encoding.UTF8.GetBytes(Definition), _record));
    }

    public byte[] Write(DiskId disk, long offset, ReadOnlySpan<byte> data)
    {
        data.CopyTo(Disks[disk].AsSpan((int)offset));
        return Whole(_codec.EncodeData(Line, ++Sequence, disk, offset, data, _record));
    }

    public byte[] Zero(DiskId disk, ByteRange range)
    {
        Disks[disk].AsSpan((int)range.OffsetBytes, (int)range.LengthBytes).Clear();
        return Whole(RecordCodec.EncodeZero(Line, ++Sequence, disk, range, _record));
    }

    public byte[] Checkpoint(DateTimeOffset cutAt, bool hidden = false, string label = "") => Whole(_codec.EncodeCheckpoint(
        Line, ++Sequence, new CheckpointBody { Kind = PointKind.Crash, CutAt = cutAt, Hidden = hidden, Label = label }, _record));

    public RecoveryPointId LastPoint => new(Line, Sequence);

    /// <summary>What is there now, to be compared with later.</summary>
    public Snapshot TakeSnapshot()
    {
        SortedDictionary<DiskId, byte[]> disks = [];
        foreach ((DiskId disk, byte[] content) in Disks)
        {
            disks.Add(disk, (byte[])content.Clone());
        }

        return new Snapshot(disks, Geometry, Definition, Sequence);
    }

    /// <summary>Goes back to a snapshot, on another line.</summary>
    public void Restore(Snapshot snapshot, LineId line)
    {
        Line = line;
        Sequence = snapshot.Sequence;
        Geometry = snapshot.Geometry;
        Definition = snapshot.Definition;
        Disks = [];
        foreach ((DiskId disk, byte[] content) in snapshot.Disks)
        {
            Disks.Add(disk, (byte[])content.Clone());
        }
    }

    private byte[] Whole(int length) => _record.AsSpan(0, length).ToArray();
}

/// <summary>What a VM was at a point.</summary>
internal sealed record Snapshot(SortedDictionary<DiskId, byte[]> Disks, GeometryBody Geometry, string? Definition, ulong Sequence);
