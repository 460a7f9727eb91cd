using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Bases;

/// <summary>
/// The file <c>apply.log</c>: the one batch of blocks that apply is writing into the base (docs/formats/apply-log.md).
/// Written in place over the batch before, which was complete by then; so a log that is not whole says that nothing of
/// its batch has touched the base. One caller at a time.
/// </summary>
internal static class ApplyLog
{
    public const string Name = "apply.log";

    public const int HeaderBytes = 128;

    public const int EntryBytes = 48;

    public const ushort Version = 1;

    private const int ChecksumAt = HeaderBytes - 4;

    private static ReadOnlySpan<byte> Magic => "UNDRAPLY"u8;

    /// <summary>Durable when this returns. A failed flush leaves nobody knowing whether the batch is logged; nothing of it is written then.</summary>
    public static async ValueTask WriteAsync(
        IFileStore store, ReplicaId replica, ulong from, RecoveryPointId to, IReadOnlyList<LoggedBlock> blocks)
    {
        byte[] bytes = new byte[HeaderBytes + (blocks.Count * EntryBytes)];
        Encode(replica, from, to, blocks, bytes);
        await using IStoreFile file = await store.OpenAsync(Name, FileOpen.Existing, CancellationToken.None);
        await file.WriteAsync(0, bytes, CancellationToken.None);
        await file.FlushAsync(CancellationToken.None);
    }

    /// <summary>Makes the empty log of a new replica; the flush of the manifest's folder makes its name durable.</summary>
    public static async ValueTask CreateAsync(IFileStore store, CancellationToken cancellationToken)
    {
        await using IStoreFile file = await store.OpenAsync(Name, FileOpen.OpenOrCreate, cancellationToken);
    }

    /// <summary>The batch that may have touched the base; empty when there is none of this apply.</summary>
    public static async ValueTask<IReadOnlyList<LoggedBlock>> ReadAsync(
        IFileStore store, ReplicaId replica, ulong from, RecoveryPointId to, CancellationToken cancellationToken)
    {
        await using IStoreFile file = await store.OpenAsync(Name, FileOpen.Read, cancellationToken);
        byte[] bytes = new byte[Math.Min(file.LengthBytes, HeaderBytes + ((long)ushort.MaxValue * EntryBytes))];
        int read = await file.ReadAsync(0, bytes, cancellationToken);
        return TryDecode(replica, from, to, bytes.AsSpan(0, read)) ?? [];
    }

    internal static void Encode(ReplicaId replica, ulong from, RecoveryPointId to, IReadOnlyList<LoggedBlock> blocks, Span<byte> target)
    {
        Span<byte> h = target[..HeaderBytes];
        h.Clear();
        for (int i = 0; i < blocks.Count; i++)
        {
            Span<byte> e = target.Slice(HeaderBytes + (i * EntryBytes), EntryBytes);
            e.Clear();
            BinaryPrimitives.WriteUInt16LittleEndian(e, blocks[i].Disk.Value);
            BinaryPrimitives.WriteInt64LittleEndian(e[8..], blocks[i].Block);
            blocks[i].OldSum.Write(e[16..]);
            blocks[i].NewSum.Write(e[32..]);
        }

        Magic.CopyTo(h);
        BinaryPrimitives.WriteUInt16LittleEndian(h[8..], Version);
        Invariant.Check(replica.Value.TryWriteBytes(h[16..], bigEndian: true, out _), "an id has 16 bytes");
        BinaryPrimitives.WriteUInt64LittleEndian(h[32..], from);
        BinaryPrimitives.WriteUInt64LittleEndian(h[40..], to.Sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(h[48..], to.Line.Counter);
        BinaryPrimitives.WriteUInt128LittleEndian(h[56..], to.Line.Random);
        BinaryPrimitives.WriteInt32LittleEndian(h[72..], blocks.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(h[76..], Crc32C.Compute(target.Slice(HeaderBytes, blocks.Count * EntryBytes)));
        BinaryPrimitives.WriteUInt32LittleEndian(h[ChecksumAt..], Crc32C.Compute(h[..ChecksumAt]));
    }

    internal static LoggedBlock[]? TryDecode(ReplicaId replica, ulong from, RecoveryPointId to, ReadOnlySpan<byte> source)
    {
        if (source.Length < HeaderBytes || !source.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumAt..]) != Crc32C.Compute(source[..ChecksumAt]))
        {
            return null;
        }

        ReadOnlySpan<byte> h = source[..HeaderBytes];
        int count = BinaryPrimitives.ReadInt32LittleEndian(h[72..]);
        bool belongs = BinaryPrimitives.ReadUInt16LittleEndian(h[8..]) == Version
            && new Guid(h.Slice(16, 16), bigEndian: true) == replica.Value
            && BinaryPrimitives.ReadUInt64LittleEndian(h[32..]) == from
            && BinaryPrimitives.ReadUInt64LittleEndian(h[40..]) == to.Sequence
            && BinaryPrimitives.ReadUInt32LittleEndian(h[48..]) == to.Line.Counter
            && BinaryPrimitives.ReadUInt128LittleEndian(h[56..]) == to.Line.Random;
        if (!belongs || count < 0 || count > (source.Length - HeaderBytes) / EntryBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(h[76..]) != Crc32C.Compute(source.Slice(HeaderBytes, count * EntryBytes)))
        {
            return null;
        }

        LoggedBlock[] blocks = new LoggedBlock[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> e = source.Slice(HeaderBytes + (i * EntryBytes), EntryBytes);
            blocks[i] = new LoggedBlock(
                new DiskId(BinaryPrimitives.ReadUInt16LittleEndian(e)),
                BinaryPrimitives.ReadInt64LittleEndian(e[8..]),
                BlockSum.Read(e[16..]),
                BlockSum.Read(e[32..]));
        }

        return blocks;
    }
}
