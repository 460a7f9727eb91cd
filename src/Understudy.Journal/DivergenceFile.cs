using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Journal;

/// <summary>The file that lists what dropped records had touched (docs/formats/lines.md).</summary>
internal static class DivergenceFile
{
    public const int HeaderBytes = 64;

    public const int EntryBytes = 24;

    public const ushort Version = 1;

    private static ReadOnlySpan<byte> Magic => "UNDRDIVG"u8;

    public static byte[] Encode(ReplicaId replica, IReadOnlyDictionary<DiskId, ExtentSet> extents)
    {
        int count = extents.Values.Sum(e => e.Count);
        byte[] bytes = new byte[HeaderBytes + (count * EntryBytes)];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), count);
        Invariant.Check(replica.Value.TryWriteBytes(bytes.AsSpan(16), bigEndian: true, out _), "an id has 16 bytes");
        int at = HeaderBytes;
        foreach ((DiskId disk, ExtentSet set) in extents.OrderBy(e => e.Key))
        {
            foreach (ByteRange range in set)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), disk.Value);
                BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at + 8), range.OffsetBytes);
                BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at + 16), range.LengthBytes);
                at += EntryBytes;
            }
        }

        return bytes;
    }

    /// <summary>Adds a file's extents. The manifest's checksum has been verified.</summary>
    public static void Decode(string name, ReadOnlySpan<byte> bytes, SortedDictionary<DiskId, ExtentSet> into)
    {
        if (bytes.Length < HeaderBytes || !bytes.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]) != Version
            || BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]) != (bytes.Length - HeaderBytes) / EntryBytes)
        {
            throw new StorageException(FaultKind.Denied, name, "made in a way that only a later version understands", "Upgrade this agent.");
        }

        for (int at = HeaderBytes; at < bytes.Length; at += EntryBytes)
        {
            DiskId disk = new(BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]));
            if (!into.TryGetValue(disk, out ExtentSet? set))
            {
                into.Add(disk, set = new ExtentSet());
            }

            set.Add(new ByteRange(BinaryPrimitives.ReadInt64LittleEndian(bytes[(at + 8)..]), BinaryPrimitives.ReadInt64LittleEndian(bytes[(at + 16)..])));
        }
    }
}
