using Understudy.Blocks;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>
/// Goes through control records in order and says what each checkpoint is. Used for records that arrive and for those
/// found when opening alike. Bodies are checked here, before anything is changed.
/// </summary>
internal sealed class PointBuilder(RecordCodec codec)
{
    /// <summary>At the end of what has been read.</summary>
    public InForce InForce { get; set; } = InForce.Nothing;

    /// <summary>Why the record cannot follow what is there; null when it can.</summary>
    public string? FindFault(in RecordHeader header, ReadOnlySpan<byte> payload)
    {
        switch (header.Kind)
        {
            case RecordKind.Data or RecordKind.Zero:
                return InForce.Disks?.Find(header.Disk) is not { } disk ? $"disk {header.Disk} is not in the geometry"
                    : header.Range.EndBytes > disk.SizeBytes ? $"{header.Range} is outside of disk {header.Disk} with {disk.SizeBytes} bytes"
                    : null;
            case RecordKind.Geometry:
                return FindFault(ReadGeometry(header, payload));
            case RecordKind.Checkpoint:
                return InForce.Disks is null ? "a checkpoint before any geometry"
                    : ReadCheckpoint(header, payload) is null ? "the checkpoint cannot be understood"
                    : null;
            case RecordKind.Definition:
                return Decode(header, payload) is null ? "the definition does not decode" : null;
            default:
                throw new InvariantException($"record kind {header.Kind} passed the header's checks");
        }
    }

    /// <summary>Takes a control record into account; the point it makes when it is a checkpoint.</summary>
    public PointState? Take(in RecordHeader header, ReadOnlySpan<byte> record, SegmentExtent source, byte[]? kept = null)
    {
        ReadOnlySpan<byte> payload = record[RecordHeader.SizeBytes..];
        switch (header.Kind)
        {
            case RecordKind.Geometry:
                GeometryBody geometry = ReadGeometry(header, payload) ?? throw Unreadable(header);
                InForce = InForce with { Geometry = new ControlRecord(header, record.ToArray()), Disks = geometry };
                return null;
            case RecordKind.Definition:
                ControlRecord definition = new(header, record.ToArray());
                InForce = InForce with { Definitions = InForce.Definitions.SetItem(header.Disk.Value, definition) };
                return null;
            case RecordKind.Checkpoint:
                CheckpointBody body = ReadCheckpoint(header, payload) ?? throw Unreadable(header);
                RecoveryPoint point = new(header.PointId, body.Kind, body.CutAt, body.Label);
                return new PointState(point, body.Hidden, InForce, InForce.Disks ?? throw Unreadable(header), source, kept);
            default:
                throw new InvariantException($"a {header.Kind} record is no control record");
        }
    }

    /// <summary>The domain XML in force; null when there has been none.</summary>
    public string? ReadDefinition(InForce inForce) => inForce.Definitions.TryGetValue(0, out ControlRecord? record)
        ? System.Text.Encoding.UTF8.GetString(Decode(record.Header, record.Payload) ?? throw Unreadable(record.Header))
        : null;

    private static StorageException Unreadable(in RecordHeader header) => new(
        FaultKind.Corrupt, "journal", $"record {header.Sequence} ({header.Kind}) cannot be understood", "Resynchronise the VM.");

    private string? FindFault(GeometryBody? next)
    {
        if (next is null)
        {
            return "the geometry cannot be understood";
        }

        foreach (DiskGeometry before in InForce.Disks?.Disks ?? [])
        {
            if (next.Find(before.Disk) is { } after && after.SizeBytes < before.SizeBytes)
            {
                return $"disk {before.Disk} shrinks from {before.SizeBytes} to {after.SizeBytes} bytes: it needs a new number";
            }
        }

        return null;
    }

    private GeometryBody? ReadGeometry(in RecordHeader header, ReadOnlySpan<byte> payload) =>
        Decode(header, payload) is { } body ? GeometryBody.TryRead(body) : null;

    private CheckpointBody? ReadCheckpoint(in RecordHeader header, ReadOnlySpan<byte> payload) =>
        Decode(header, payload) is { } body ? CheckpointBody.TryRead(body) : null;

    private byte[]? Decode(in RecordHeader header, ReadOnlySpan<byte> payload)
    {
        byte[] body = new byte[header.LengthBytes]; // At most 1 MiB: the header was checked.
        return codec.TryDecode(header, payload, body) ? body : null;
    }
}
