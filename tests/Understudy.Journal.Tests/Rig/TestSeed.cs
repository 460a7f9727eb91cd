using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal.Tests.Rig;

/// <summary>Seeds in memory, with what a host remembers of how far they were read.</summary>
internal sealed class TestSeed(IReadOnlyDictionary<DiskId, byte[]> contents) : ISeed
{
    public Dictionary<DiskId, long> Reached { get; init; } = [];

    /// <summary>Bytes, aligned to blocks, that cannot be read.</summary>
    public HashSet<long> Damaged { get; } = [];

    /// <summary>Told each time that something was remembered.</summary>
    public Action<DiskId, long>? WhenReached { get; init; }

    /// <summary>The kind of fault that every read throws.</summary>
    public FaultKind? Fault { get; set; }

    public ValueTask BeginAsync(IReadOnlyList<DiskGeometry> disks) => default;

    public long ReachedOf(DiskGeometry disk) => Reached.GetValueOrDefault(disk.Disk);

    public ValueTask<IBlockDevice?> OpenAsync(DiskGeometry disk, CancellationToken cancellationToken) =>
        new(contents.GetValueOrDefault(disk.Disk) is { } content ? new Content(this, content) : null);

    public long DamagedBytes { get; private set; }

    public ValueTask ReachedAsync(DiskGeometry disk, long bytes, long damagedBytes)
    {
        DamagedBytes += damagedBytes;
        Reached[disk.Disk] = bytes;
        WhenReached?.Invoke(disk.Disk, bytes);
        return default;
    }

    private sealed class Content(TestSeed seed, byte[] content) : IBlockDevice
    {
        public long SizeBytes => content.Length;

        public bool IsReadOnly => true;

        public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
            if (seed.Fault is { } fault)
            {
                throw new StorageException(fault, "seed", "planted");
            }

            ByteRange range = new(offsetBytes, buffer.Length);
            if (seed.Damaged.FirstOrDefault(at => range.Overlaps(new ByteRange(at, 1)), -1) is >= 0 and var at)
            {
                throw new StorageException(FaultKind.Corrupt, "seed", $"damaged at {at}");
            }

            content.AsMemory((int)offsetBytes, buffer.Length).CopyTo(buffer);
            return default;
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new InvariantException("a seed is never written");

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new InvariantException("a seed is never written");

        public ValueTask FlushAsync(CancellationToken cancellationToken) => throw new InvariantException("a seed is never written");

        public ValueTask DisposeAsync() => default;
    }
}
