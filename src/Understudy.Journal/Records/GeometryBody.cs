using System.Buffers.Binary;
using System.Text;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Records;

/// <summary>What the disk's image was at the source; a hint for whoever makes the image at the target.</summary>
public enum DiskFormat : byte
{
    Unknown = 0,
    Raw = 1,
    Qcow2 = 2,
}

/// <summary>One disk of the VM. <see cref="Target"/> is the guest device of the domain XML, e.g. <c>vda</c>.</summary>
/// <param name="Joining">Its own first copy is under way: records of it are taken, but no point has it yet.</param>
public sealed record DiskGeometry(
    DiskId Disk, string Target, long SizeBytes, DiskFormat Format = DiskFormat.Unknown, bool Joining = false);

/// <summary>
/// The body of a geometry record: all disks of the VM, ascending by number (docs/formats/points.md). A disk may grow; one
/// that shrinks comes back under a new number, because old numbers are never reused.
/// </summary>
public sealed record GeometryBody(IReadOnlyList<DiskGeometry> Disks)
{
    public const int MaxSizeBytes = FixedBytes + (RecordLimits.MaxDisks * (DiskBytes + RecordLimits.MaxTargetNameBytes));

    private const int FixedBytes = 4;
    private const int DiskBytes = 16;
    private const ushort Version = 1;
    private const byte JoiningFlag = 1;

    /// <summary>The disks that a point made under this table has: those that join are not among them yet.</summary>
    public GeometryBody OfPoint => Disks.Any(disk => disk.Joining) ? new GeometryBody([.. Disks.Where(disk => !disk.Joining)]) : this;

    public DiskGeometry? Find(DiskId disk)
    {
        foreach (DiskGeometry d in Disks)
        {
            if (d.Disk == disk)
            {
                return d;
            }
        }

        return null;
    }

    /// <summary>Writes the body; returns its size. Disks out of order or out of bounds are the caller's bug.</summary>
    public int Write(Span<byte> target)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Disks.Count, RecordLimits.MaxDisks);
        BinaryPrimitives.WriteUInt16LittleEndian(target, Version);
        BinaryPrimitives.WriteUInt16LittleEndian(target[2..], (ushort)Disks.Count);
        int at = FixedBytes;
        int previous = -1;
        foreach (DiskGeometry disk in Disks)
        {
            int nameBytes = Encoding.UTF8.GetByteCount(disk.Target);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(nameBytes, RecordLimits.MaxTargetNameBytes, nameof(disk.Target));
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(disk.Disk.Value, previous, nameof(disk.Disk));
            ArgumentOutOfRangeException.ThrowIfNotEqual(RecordLimits.IsSectorRange(0, disk.SizeBytes), true, nameof(disk.SizeBytes));
            Span<byte> b = target.Slice(at, DiskBytes + nameBytes);
            b.Clear();
            BinaryPrimitives.WriteUInt16LittleEndian(b, disk.Disk.Value);
            b[2] = (byte)disk.Format;
            b[3] = (byte)nameBytes;
            b[4] = disk.Joining ? JoiningFlag : (byte)0;
            BinaryPrimitives.WriteInt64LittleEndian(b[8..], disk.SizeBytes);
            Encoding.UTF8.GetBytes(disk.Target, b[DiskBytes..]);
            at += b.Length;
            previous = disk.Disk.Value;
        }

        return at;
    }

    /// <summary>Null when the bytes are no geometry of this version. Bytes after the table are left to later versions.</summary>
    public static GeometryBody? TryRead(ReadOnlySpan<byte> b)
    {
        if (b.Length < FixedBytes || BinaryPrimitives.ReadUInt16LittleEndian(b) != Version)
        {
            return null;
        }

        int count = BinaryPrimitives.ReadUInt16LittleEndian(b[2..]);
        if (count > RecordLimits.MaxDisks)
        {
            return null;
        }

        List<DiskGeometry> disks = new(count);
        int at = FixedBytes;
        for (int i = 0; i < count; i++)
        {
            if (b.Length - at < DiskBytes || b.Length - at - DiskBytes < b[at + 3])
            {
                return null;
            }

            ReadOnlySpan<byte> d = b.Slice(at, DiskBytes + b[at + 3]);
            DiskGeometry disk = new(
                new DiskId(BinaryPrimitives.ReadUInt16LittleEndian(d)),
                Encoding.UTF8.GetString(d[DiskBytes..]),
                BinaryPrimitives.ReadInt64LittleEndian(d[8..]),
                Enum.IsDefined((DiskFormat)d[2]) ? (DiskFormat)d[2] : DiskFormat.Unknown,
                (d[4] & JoiningFlag) != 0);
            bool ascending = i == 0 || disk.Disk.CompareTo(disks[i - 1].Disk) > 0;
            if (!ascending || !RecordLimits.IsTargetName(d[DiskBytes..]) || disks.Exists(other => other.Target == disk.Target) || !RecordLimits.IsSectorRange(0, disk.SizeBytes))
            {
                return null;
            }

            disks.Add(disk);
            at += d.Length;
        }

        return new GeometryBody(disks);
    }
}
