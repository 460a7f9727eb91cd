using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Comparing;
using Understudy.Replication.Wire;
using Understudy.Testing.Devices;

namespace Understudy.Replication.Tests.Comparing;

public sealed class SumReaderTests
{
    private const int Block = BlockSize.Bytes;
    private static readonly DiskId Disk = new(3);

    public static TheoryData<int> BlockSizes => [Block, 2 * Block, 16 * Block];

    /// <summary>Against the plain definition: random content, holes, block sizes, ends, and ranges beyond the device.</summary>
    [Theory]
    [MemberData(nameof(BlockSizes))]
    public async Task Every_sum_is_that_of_the_content_whatever_is_hole_or_end(int blockBytes)
    {
        Random random = new(Understudy.Testing.Seed.Next());
        for (int run = 0; run < 20; run++)
        {
            int size = random.Next(1, 80 * 128) * 512;
            MemoryBlockDevice device = new(size);
            for (int i = 0; i < 12; i++)
            {
                byte[] content = new byte[Math.Min(size, random.Next(1, 1000) * 512)];
                random.NextBytes(content);
                await device.WriteAsync(random.Next((size - content.Length) / 512 + 1) * 512L, content, default);
            }

            long from = random.Next(6) * (long)blockBytes;
            ComparedRange range = new(Disk, new ByteRange(from, random.Next(1, 100 * 128) * 512L), blockBytes);
            SumTable table = await ReadAsync(random.Next(5) == 0 ? new WithoutExtents(device) : device, range);
            for (long at = from; at < range.Range.EndBytes; at += blockBytes)
            {
                byte[] expected = new byte[blockBytes];
                int there = (int)Math.Clamp(Math.Min(device.SizeBytes, range.Range.EndBytes) - at, 0, blockBytes);
                device.Content.Span.Slice((int)Math.Min(at, size - there), there).CopyTo(expected);
                Assert.Equal(ContentSum.Of(expected, blockBytes), table.At(at));
            }
        }
    }

    [Fact]
    public async Task Disk_that_is_not_there_reads_as_zeros_and_nothing_is_read_for_it()
    {
        SumTable table = await ReadAsync(null, new ComparedRange(Disk, new ByteRange(0, 3 * Block), Block));
        Assert.Equal(ContentSum.OfZeros(Block), table.At(2 * Block));
    }

    [Fact]
    public async Task Damaged_block_has_no_sum_and_its_neighbours_do()
    {
        Damaged device = new(damagedBlock: 5, FaultKind.Corrupt);
        SumTable table = await ReadAsync(device, new ComparedRange(Disk, new ByteRange(0, 20 * Block), Block));
        for (int block = 0; block < 20; block++)
        {
            Assert.Equal(block != 5, table.At(block * Block).IsKnown);
        }

        // In blocks of 128 KiB the damage takes its neighbour with it.
        table = await ReadAsync(device, new ComparedRange(Disk, new ByteRange(0, 20 * Block), 2 * Block));
        Assert.Equal([0, 1, 3, 4], Enumerable.Range(0, 5).Where(i => table.At(i * 2 * Block).IsKnown));
    }

    [Fact]
    public async Task Any_other_fault_ends_it_and_leaves_no_read_behind()
    {
        Damaged device = new(damagedBlock: 100, FaultKind.Io);
        await Assert.ThrowsAsync<StorageException>(async () => await ReadAsync(device, new ComparedRange(Disk, new ByteRange(0, 256 * Block), Block)));
        Assert.Equal(0, device.Running);
        Assert.InRange(device.Most, 2, 4); // Reads under way at once.
    }

    private static async Task<SumTable> ReadAsync(IBlockDevice? device, ComparedRange range)
    {
        SumsAwaited awaited = new();
        SumTable table = awaited.TryAsk(range) ?? throw new InvalidOperationException();
        await foreach (ControlFrame.Sums sums in new SumReader(device, range).ReadAsync(default))
        {
            Assert.True(ControlFrameCodec.Decode(ControlFrameCodec.Encode(sums), out string? error) is ControlFrame.Sums, error);
            Assert.True(awaited.TryTake(sums));
        }

        Assert.True(awaited.IsWhole(table));
        return table;
    }

    private sealed class WithoutExtents(MemoryBlockDevice inner) : IBlockDevice
    {
        public long SizeBytes => inner.SizeBytes;

        public bool IsReadOnly => true;

        public ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) => inner.ReadAsync(offsetBytes, buffer, cancellationToken);

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask FlushAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    /// <summary>Sixteen megabytes of ones with one block that cannot be read; reads take a moment.</summary>
    private sealed class Damaged(int damagedBlock, FaultKind fault) : IBlockDevice
    {
        private int _running;

        public int Running => _running;

        public int Most { get; private set; }

        public long SizeBytes => 256 * Block;

        public bool IsReadOnly => true;

        public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            Most = Math.Max(Most, ++_running);
            await Task.Yield();
            _running--;
            buffer.Span.Fill(1);
            if (new ByteRange(offsetBytes, buffer.Length).Overlaps(new ByteRange(damagedBlock * (long)Block, Block)))
            {
                throw new StorageException(fault, "base", "the block does not match its sum");
            }
        }

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask FlushAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
