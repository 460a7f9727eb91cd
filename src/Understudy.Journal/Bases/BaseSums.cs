using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Bases;

/// <summary>
/// The sums of a base image, 16 bytes a block of 64 KiB (docs/formats/base-sums.md). A block behind the end of the disk
/// counts as zeros, so a disk that grows keeps its sums. Written only by apply, one caller; read by any number beside it.
/// </summary>
internal sealed class BaseSums : IAsyncDisposable
{
    public const int HeaderBytes = 4096;

    public const ushort Version = 1;

    private const string Prefix = "base/disk-";
    private const string Suffix = ".sums";
    private const ushort Xxh3 = 1;
    private const byte StartsAsZeros = 1;

    /// <summary>A page of the sums file, 16 MiB of disk, is looked at a time.</summary>
    private const int BlocksPerClearing = 256;

    private const int ChecksumAt = HeaderBytes - 4;

    private readonly IStoreFile _file;

    private BaseSums(IStoreFile file) => _file = file;

    /// <summary>The sum of a block of zeros: what every block of an image made by us begins with.</summary>
    public static BlockSum OfZeros { get; } = BlockSum.Of(new byte[BlockSize.Bytes]);

    private static ReadOnlySpan<byte> Magic => "UNDRSUMS"u8;

    public static string NameOf(DiskId disk) => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{disk.Value}{Suffix}");

    public static bool TryParseName(string name, out DiskId disk)
    {
        ushort number = 0;
        bool isOurs = name.Length > Prefix.Length + Suffix.Length
            && name.StartsWith(Prefix, StringComparison.Ordinal)
            && name.EndsWith(Suffix, StringComparison.Ordinal)
            && ushort.TryParse(name.AsSpan(Prefix.Length, name.Length - Prefix.Length - Suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number);
        disk = new DiskId(number);
        return isOurs;
    }

    /// <summary>Opens the sums of a disk, creating those of an empty image when asked to.</summary>
    public static async ValueTask<BaseSums> OpenAsync(
        IFileStore store, ReplicaId replica, DiskId disk, bool create, CancellationToken cancellationToken)
    {
        string name = NameOf(disk);
        if (create)
        {
            // A process killed in the middle of making them may have left a name that only memory has.
            await store.FlushFolderAsync("base", cancellationToken);
        }

        IStoreFile file;
        try
        {
            file = await store.OpenAsync(name, FileOpen.Existing, cancellationToken);
        }
        catch (StorageException e) when (e.Kind == FaultKind.Missing && create)
        {
            await CreateAsync(store, replica, disk, name);
            file = await store.OpenAsync(name, FileOpen.Existing, cancellationToken);
        }

        try
        {
            byte[] header = new byte[HeaderBytes];
            int read = await file.ReadAsync(0, header, cancellationToken);
            Check(name, replica, disk, header.AsSpan(0, read));
            return new BaseSums(file);
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }

    public async ValueTask ReadAsync(long firstBlock, Memory<BlockSum> sums, CancellationToken cancellationToken)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(sums.Length * BlockSum.SizeBytes);
        try
        {
            Memory<byte> wanted = bytes.AsMemory(0, sums.Length * BlockSum.SizeBytes);
            int read = await _file.ReadAsync(HeaderBytes + (firstBlock * BlockSum.SizeBytes), wanted, cancellationToken);
            wanted[read..].Span.Clear(); // Behind the end: never written.
            for (int i = 0; i < sums.Length; i++)
            {
                BlockSum sum = BlockSum.Read(wanted.Span.Slice(i * BlockSum.SizeBytes, BlockSum.SizeBytes));
                sums.Span[i] = sum.IsKnown ? sum : OfZeros;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>Writes the sums of neighbouring blocks; durable after <see cref="FlushAsync"/>.</summary>
    public async ValueTask WriteAsync(long firstBlock, ReadOnlyMemory<BlockSum> sums)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(sums.Length * BlockSum.SizeBytes);
        try
        {
            for (int i = 0; i < sums.Length; i++)
            {
                sums.Span[i].Write(bytes.AsSpan(i * BlockSum.SizeBytes));
            }

            ReadOnlyMemory<byte> data = bytes.AsMemory(0, sums.Length * BlockSum.SizeBytes);
            await _file.WriteAsync(HeaderBytes + (firstBlock * BlockSum.SizeBytes), data, CancellationToken.None);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>Says that blocks are zeros. Where that was never said otherwise the file keeps its holes.</summary>
    public async ValueTask ClearAsync(long firstBlock, long count)
    {
        BlockSum[] sums = new BlockSum[(int)Math.Min(count, BlocksPerClearing)];
        for (long at = firstBlock; at < firstBlock + count; at += sums.Length)
        {
            Memory<BlockSum> some = sums.AsMemory(0, (int)Math.Min(sums.Length, firstBlock + count - at));
            await ReadAsync(at, some, CancellationToken.None);
            if (some.Span.ContainsAnyExcept(OfZeros))
            {
                some.Span.Fill(OfZeros);
                await WriteAsync(at, some);
            }
        }
    }

    public ValueTask FlushAsync() => _file.FlushAsync(CancellationToken.None);

    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private static async ValueTask CreateAsync(
        IFileStore store, ReplicaId replica, DiskId disk, string name)
    {
        byte[] h = new byte[HeaderBytes];
        Magic.CopyTo(h);
        BinaryPrimitives.WriteUInt16LittleEndian(h.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt16LittleEndian(h.AsSpan(10), Xxh3);
        BinaryPrimitives.WriteUInt32LittleEndian(h.AsSpan(12), BlockSize.Bytes);
        Invariant.Check(replica.Value.TryWriteBytes(h.AsSpan(16), bigEndian: true, out _), "an id has 16 bytes");
        BinaryPrimitives.WriteUInt16LittleEndian(h.AsSpan(32), disk.Value);
        h[34] = StartsAsZeros;
        BinaryPrimitives.WriteUInt32LittleEndian(h.AsSpan(ChecksumAt), Crc32C.Compute(h.AsSpan(0, ChecksumAt)));

        // Beside and renamed: a crash leaves either no sums, or whole ones of an empty image.
        await Manifests.SmallFile.ReplaceAsync(store, name, name + ".new", h);
    }

    private static void Check(string name, ReplicaId replica, DiskId disk, ReadOnlySpan<byte> h)
    {
        if (h.Length < HeaderBytes || !h.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(h[ChecksumAt..]) != Crc32C.Compute(h[..ChecksumAt]))
        {
            throw new StorageException(FaultKind.Corrupt, name, "its header does not match its checksum", "Resynchronise the VM.");
        }

        bool known = BinaryPrimitives.ReadUInt16LittleEndian(h[8..]) == Version
            && BinaryPrimitives.ReadUInt16LittleEndian(h[10..]) == Xxh3
            && BinaryPrimitives.ReadUInt32LittleEndian(h[12..]) == BlockSize.Bytes
            && h[34] == StartsAsZeros;
        if (!known)
        {
            throw new StorageException(FaultKind.Denied, name, "made in a way that only a later version understands", "Upgrade this agent.");
        }

        if (new Guid(h.Slice(16, 16), bigEndian: true) != replica.Value || BinaryPrimitives.ReadUInt16LittleEndian(h[32..]) != disk.Value)
        {
            throw new StorageException(FaultKind.Corrupt, name, "it belongs to another replica or disk", "Bring the right file back, or resynchronise the VM.");
        }
    }
}
