using Understudy.Blocks;
using Understudy.Journal.Records;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Replication.Comparing;
using Understudy.Testing;
using Understudy.Testing.Devices;
using static Understudy.Protection.Tests.Source.SourceRulesTests;

namespace Understudy.Protection.Tests.Source;

public sealed class CycleDrainTests
{
    private const int Block = BlockSize.Bytes;

    private readonly StillCapture _capture = new();

    [Fact]
    public async Task Holes_and_zero_blocks_of_virgin_ground_are_not_sent()
    {
        _capture.Fill(0, 2, 1);
        _capture.Fill(0, 3, 0); // Allocated, and all zeros.
        _capture.Fill(1, 4, 9); // The short last block.
        (DrainResult result, List<RecordHeader> records) = await DrainAsync(Copying(0, 0), sliceBlocks: 100);

        Assert.All(result.Disks, disk => Assert.True(disk.IsWhole));
        Assert.Equal(
            ["Data 0 [131072, 196608)", "Data 1 [262144, 262656)"],
            records.Select(Describe));
    }

    [Fact]
    public async Task Slice_ends_at_its_budget_of_data_and_the_next_begins_there()
    {
        for (int block = 0; block < 10; block++)
        {
            _capture.Fill(0, block, block + 1);
        }

        (DrainResult result, _) = await DrainAsync(Copying(0, 0), sliceBlocks: 3);
        Assert.Equal([3 * Block, 0], Reached(result));
        (result, List<RecordHeader> records) = await DrainAsync(Copying(3 * Block, 0), sliceBlocks: 3);
        Assert.Equal([6 * Block, 0], Reached(result));
        Assert.Equal(["Data 0 [196608, 393216)"], records.Select(Describe));
    }

    [Fact]
    public async Task Holes_cost_no_budget()
    {
        _capture.Fill(0, 9, 1);
        _capture.Fill(1, 0, 1);
        (DrainResult result, _) = await DrainAsync(Copying(0, 0), sliceBlocks: 1);
        Assert.Equal([10 * Block, 0], Reached(result));
    }

    [Fact]
    public async Task Changes_of_the_copied_part_go_first_and_the_slice_keeps_a_quarter()
    {
        for (int block = 0; block < 10; block++)
        {
            _capture.Fill(0, block, block + 1);
        }

        _capture.Changed[0] = [new ByteRange(0, 4 * Block), new ByteRange(7 * Block, Block)];
        SourceState state = Copying(4 * Block, 0) with { Checkpoint = "us-old" };
        (DrainResult result, List<RecordHeader> records) = await DrainAsync(state, sliceBlocks: 4);

        Assert.Equal(4 * Block, result.ChangedBytes); // Block 7 is not copied yet: it comes with its slice.
        Assert.Equal([5 * Block, 0], Reached(result));
        Assert.Equal(["Data 0 [0, 262144)", "Data 0 [262144, 327680)"], records.Select(Describe));
    }

    [Fact]
    public async Task Time_ends_a_slice_too_but_never_before_it_moved()
    {
        for (int block = 0; block < 10; block++)
        {
            _capture.Fill(0, block, block + 1);
        }

        ManualTime time = new();
        _capture.OnRead = () => time.Advance(TimeSpan.FromMinutes(1));
        (DrainResult result, _) = await DrainAsync(Copying(0, 0), sliceBlocks: 1000, time);
        Assert.Equal([10 * Block, 0], Reached(result));
    }

    [Fact]
    public async Task Zeros_are_sent_where_the_target_has_been_before()
    {
        _capture.Fill(0, 1, 1);
        _capture.Fill(0, 2, 0);
        SourceState state = Copying(0, 0) with
        {
            Disks = [.. New().Disks.Select(disk => disk.FromTheStart(targetIsKnown: false))],
        };
        (_, List<RecordHeader> records) = await DrainAsync(state, sliceBlocks: 100);
        Assert.Equal(
            [
                "Zero 0 [0, 65536)", "Zero 0 [196608, 655360)", "Data 0 [65536, 131072)", "Zero 0 [131072, 196608)",
                "Zero 1 [0, 262656)",
            ],
            records.Select(Describe));
    }

    [Fact]
    public async Task Changed_range_is_widened_to_blocks_and_its_zeros_are_always_sent()
    {
        _capture.Fill(0, 5, 7);
        _capture.Changed[0] = [new ByteRange((5 * Block) + 512, Block)];
        SourceState state = New() with { Disks = Whole(), Copy = null, Checkpoint = "us-old" };
        (DrainResult result, List<RecordHeader> records) = await DrainAsync(state, sliceBlocks: 1);
        Assert.Equal(Whole(), result.Disks);
        Assert.Equal(["Data 0 [327680, 393216)", "Zero 0 [393216, 458752)"], records.Select(Describe));
    }

    [Fact]
    public async Task Disk_that_joins_comes_after_those_of_the_points_and_its_changes_are_asked_only_where_it_is_copied()
    {
        _capture.Fill(0, 0, 1);
        _capture.Fill(1, 0, 1);
        SourceState state = Copying(0, 0) with { Disks = [New().Disks[0] with { Joining = true }, New().Disks[1]], Checkpoint = "us-old" };
        (DrainResult result, List<RecordHeader> records) = await DrainAsync(state, sliceBlocks: 1);
        Assert.Equal(["Data 1 [0, 65536)"], records.Select(Describe));
        Assert.Equal([0, Block], Reached(result));
        Assert.False(CycleDrain.HasChangesToAsk(state, state.Disks[0]));
        Assert.True(CycleDrain.HasChangesToAsk(state, result.Disks[1]));
        Assert.False(CycleDrain.HasChangesToAsk(state with { Checkpoint = null }, result.Disks[1]));
    }

    [Fact]
    public async Task What_a_disk_grew_by_is_read_with_its_once_short_last_block_and_nothing_before()
    {
        _capture.Fill(1, 1, 1);
        _capture.Fill(1, 3, 0);
        _capture.Fill(1, 4, 2);
        SourceState state = Copying(10 * Block, 0) with
        {
            Disks = [Whole()[0], New().Disks[1] with { CopiedBytes = 3 * Block, VirginFromBytes = (3 * Block) + 512 }],
        };
        (DrainResult result, List<RecordHeader> records) = await DrainAsync(state, sliceBlocks: 10);
        Assert.Equal(["Zero 1 [196608, 262144)", "Data 1 [262144, 262656)"], records.Select(Describe));
        Assert.True(result.Disks[1].IsWhole);
    }

    [Fact]
    public async Task Compared_slice_writes_what_differs_neighbours_together_and_asks_no_capture_for_its_holes()
    {
        foreach (int block in (int[])[1, 2, 3, 5, 9])
        {
            _capture.Fill(0, block, block);
        }

        _capture.Fill(0, 6, 0);
        FixedSums sums = new(knownTo: 10 * Block) { [0] = new byte[Block], [1] = Filled(1), [2] = Filled(77), [3] = Filled(78), [5] = Filled(5), [7] = Filled(3), [9] = null };
        SourceState state = Copying(0, 0) with { Disks = [New().Disks[0] with { VirginFromBytes = SourceDisk.Nowhere }, Whole()[1]] };
        (DrainResult result, List<RecordHeader> records) = await DrainAsync(state, sliceBlocks: 1, sums: sums);
        Assert.Equal(["Zero 0 [458752, 524288)", "Data 0 [131072, 262144)", "Data 0 [589824, 655360)"], records.Select(Describe));
        Assert.Equal(new ComparedBytes(6 * Block, 4 * Block), result.Compared);
        Assert.True(result.Disks[0].IsWhole);
    }

    [Fact]
    public async Task Compared_slice_ends_where_the_sums_end_and_where_virgin_ground_begins_zeros_are_left_out_again()
    {
        _capture.Fill(0, 6, 1);
        SourceDisk disk = New().Disks[0] with { VirginFromBytes = 5 * Block };
        SourceState state = Copying(0, 0) with { Disks = [disk, Whole()[1]] };
        FixedSums sums = new(knownTo: 3 * Block) { [1] = Filled(1) };
        (DrainResult result, List<RecordHeader> records) = await DrainAsync(state, sliceBlocks: 100, sums: sums);
        Assert.Equal(["Zero 0 [65536, 131072)"], records.Select(Describe));
        Assert.Equal(3 * Block, Reached(result).First());

        (result, records) = await DrainAsync(state, sliceBlocks: 100, sums: SliceSums.NotYet);
        Assert.Empty(records);
        Assert.Equal(0, Reached(result).First());

        (result, records) = await DrainAsync(state, sliceBlocks: 100, sums: new FixedSums(knownTo: 5 * Block));
        Assert.Equal(["Data 0 [393216, 458752)"], records.Select(Describe));
        Assert.True(result.Disks[0].IsWhole);
    }

    private static byte[] Filled(int value)
    {
        byte[] content = new byte[Block];
        Array.Fill(content, (byte)value);
        return content;
    }

    /// <summary>What the target holds, by block; null for a block it cannot read. The others are zeros.</summary>
    private sealed class FixedSums(long knownTo) : SliceSums
    {
        private readonly Dictionary<long, byte[]?> _blocks = [];

        public override bool Compares => true;

        public byte[]? this[long block]
        {
            set => _blocks[block] = value;
        }

        public override long KnownTo(Blocks.Identity.DiskId disk, ByteRange ground) => Math.Clamp(knownTo, ground.OffsetBytes, ground.EndBytes);

        public override ContentSum At(Blocks.Identity.DiskId disk, long offsetBytes)
        {
            Assert.True(offsetBytes < knownTo);
            return _blocks.TryGetValue(offsetBytes / Block, out byte[]? content)
                ? content is null ? default : ContentSum.Of(content, Block)
                : ContentSum.OfZeros(Block);
        }
    }

    private static IEnumerable<long> Reached(DrainResult result) => result.Disks.Select(disk => disk.CopiedBytes);

    private static SourceState Copying(long first, long second) => New() with { Disks = Copied(first, second), SequenceKnown = true };

    private static string Describe(RecordHeader record) => $"{record.Kind} {record.Disk} {record.Range}";

    private async Task<(DrainResult Result, List<RecordHeader> Records)> DrainAsync(SourceState state, int sliceBlocks, ManualTime? time = null, SliceSums? sums = null)
    {
        MemoryFileStore store = new();
        Spool spool = new(store, Spec, new ManualTime());
        await spool.KeepOnlyAsync(null, CancellationToken.None);
        using RecordCodec codec = new();
        await using SpoolWriter writer = spool.Begin(1);
        CycleWriter cycle = new(writer, codec, Spec.Line);
        SourcePolicy policy = new() { Frequency = SourcePolicy.ShortestFrequency, SliceBytes = sliceBlocks * Block };
        DrainResult result = await new CycleDrain(_capture, cycle, state, policy, sums ?? SliceSums.Unavailable, time ?? new ManualTime()).RunAsync(CancellationToken.None);
        await cycle.CheckpointAsync(new CheckpointBody { Kind = PointKind.Crash, CutAt = DateTimeOffset.UnixEpoch }, CancellationToken.None);

        List<RecordHeader> records = [];
        PendingCycle pending = Cycle(1, writer.NextSequence - 1) with { FirstSegment = writer.FirstSegment, LastSegment = writer.LastSegment };
        Assert.True(await spool.TryReadAsync(
            pending,
            1,
            (_, record) =>
            {
                Assert.Equal(RecordDefect.None, RecordHeader.Read(record.Span, out RecordHeader header));
                records.Add(header);
                return ValueTask.CompletedTask;
            },
            CancellationToken.None));
        Assert.Equal(RecordKind.Checkpoint, records[^1].Kind);
        records.RemoveAt(records.Count - 1);
        return (result, records);
    }

    /// <summary>A capture of the specification's two disks that stands still.</summary>
    private sealed class StillCapture : ICapture
    {
        private readonly MemoryBlockDevice[] _devices = [.. Now.Select(disk => new MemoryBlockDevice(disk.SizeBytes))];

        public StillCapture() =>
            Disks = [.. Now.Select((disk, i) => new CapturedDisk(disk.TargetDevice, disk.SizeBytes, _devices[i]))];

        public IReadOnlyList<CapturedDisk> Disks { get; }

        public DateTimeOffset CutAt => DateTimeOffset.UnixEpoch;

        public Dictionary<int, IReadOnlyList<ByteRange>> Changed { get; } = [];

        public Action OnRead { get; set; } = () => { };

        public void Fill(int disk, int block, int value)
        {
            byte[] content = new byte[Math.Min(Block, _devices[disk].SizeBytes - ((long)block * Block))];
            Array.Fill(content, (byte)value);
            _devices[disk].WriteAsync((long)block * Block, content, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        }

        public ValueTask<IReadOnlyList<ByteRange>> GetChangedAsync(CapturedDisk disk, CancellationToken cancellationToken) =>
            ValueTask.FromResult(Changed.GetValueOrDefault(disk.TargetDevice[2] - 'a') ?? []);

        public ValueTask<IReadOnlyList<BlockExtent>> GetAllocationAsync(CapturedDisk disk, ByteRange range, CancellationToken cancellationToken)
        {
            OnRead();
            return _devices[disk.TargetDevice[2] - 'a'].GetExtentsAsync(range, cancellationToken);
        }

        public ValueTask EndAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
