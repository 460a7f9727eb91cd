using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;
using Understudy.Protection.Source;
using Understudy.Testing;
using Understudy.Testing.Devices;
using static Understudy.Protection.Tests.Source.SourceRulesTests;

namespace Understudy.Protection.Tests.Source;

public sealed class SpoolTests
{
    private readonly MemoryFileStore _store = new();

    [Fact]
    public async Task Cycle_comes_out_of_the_spool_as_it_went_in_from_any_record_on()
    {
        (Spool spool, PendingCycle cycle) = await WriteAsync(records: 12);
        Assert.True(await spool.LooksWholeAsync(cycle, CancellationToken.None));
        List<byte[]> all = await ReadAsync(spool, cycle, 1) ?? [];
        Assert.Equal(12, all.Count);
        for (ulong from = 2; from <= 13; from++)
        {
            List<byte[]> rest = await ReadAsync(spool, cycle, from) ?? [];
            Assert.Equal(all.Skip((int)from - 1).Select(Convert.ToHexString), rest.Select(Convert.ToHexString));
        }
    }

    [Fact]
    public async Task Every_damaged_byte_of_the_records_ends_the_reading()
    {
        (Spool spool, PendingCycle cycle) = await WriteAsync(records: 4);
        string name = Assert.Single(await _store.ListAsync(Spool.Folder, CancellationToken.None)).Name;
        await using IStoreFile file = await _store.OpenAsync(name, FileOpen.Existing, CancellationToken.None);
        byte[] one = new byte[1];
        for (long at = SegmentHeader.SizeBytes; at < file.LengthBytes; at++)
        {
            await file.ReadAsync(at, one, CancellationToken.None);
            one[0] ^= 0x40;
            await file.WriteAsync(at, one, CancellationToken.None);
            Assert.Null(await ReadAsync(spool, cycle, 1));
            one[0] ^= 0x40;
            await file.WriteAsync(at, one, CancellationToken.None);
        }

        Assert.NotNull(await ReadAsync(spool, cycle, 1));
    }

    [Fact]
    public async Task Spool_that_is_cut_short_or_gone_does_not_look_or_read_whole()
    {
        (Spool spool, PendingCycle cycle) = await WriteAsync(records: 4);
        string name = Assert.Single(await _store.ListAsync(Spool.Folder, CancellationToken.None)).Name;
        await using (IStoreFile file = await _store.OpenAsync(name, FileOpen.Existing, CancellationToken.None))
        {
            await file.SetLengthAsync(file.LengthBytes - 1, CancellationToken.None);
        }

        Assert.Null(await ReadAsync(spool, cycle, 1));
        await _store.DeleteAsync(name, CancellationToken.None);
        Assert.False(await spool.LooksWholeAsync(cycle, CancellationToken.None));
        Assert.Null(await ReadAsync(spool, cycle, 1));
    }

    [Fact]
    public async Task Segment_numbers_are_never_used_twice_also_after_a_restart()
    {
        (Spool spool, PendingCycle first) = await WriteAsync(records: 2);
        await spool.KeepOnlyAsync(null, CancellationToken.None);
        Assert.Empty(await _store.ListAsync(Spool.Folder, CancellationToken.None));
        PendingCycle second = await WriteAsync(spool, records: 2);
        Assert.True(second.FirstSegment > first.LastSegment);

        Spool restarted = new(_store, Spec, new ManualTime());
        await restarted.KeepOnlyAsync(second, CancellationToken.None);
        Assert.Single(await _store.ListAsync(Spool.Folder, CancellationToken.None));
        await restarted.KeepOnlyAsync(null, CancellationToken.None);
        PendingCycle third = await WriteAsync(restarted, records: 2);
        Assert.True(third.FirstSegment > second.LastSegment);
    }

    [Fact]
    public async Task Spool_of_another_replica_is_not_taken_for_ours()
    {
        (_, PendingCycle cycle) = await WriteAsync(records: 2);
        Spool other = new(_store, Spec with { Replica = new ReplicaId(Guid.NewGuid()) }, new ManualTime());
        Assert.False(await other.LooksWholeAsync(cycle, CancellationToken.None));
    }

    private async Task<(Spool Spool, PendingCycle Cycle)> WriteAsync(int records)
    {
        Spool spool = new(_store, Spec, new ManualTime());
        await spool.KeepOnlyAsync(null, CancellationToken.None);
        return (spool, await WriteAsync(spool, records));
    }

    private static async Task<PendingCycle> WriteAsync(Spool spool, int records)
    {
        using RecordCodec codec = new();
        await using SpoolWriter writer = spool.Begin(firstSequence: 1);
        byte[] buffer = new byte[RecordLimits.MaxRecordBytes];
        for (int i = 0; i < records; i++)
        {
            int bytes = i % 2 == 0
                ? RecordCodec.EncodeZero(Spec.Line, writer.NextSequence, new DiskId(0), new ByteRange(512L * i, 512), buffer)
                : codec.EncodeData(Spec.Line, writer.NextSequence, new DiskId(0), 512L * i, new byte[512], buffer);
            await writer.AppendAsync(buffer.AsMemory(0, bytes), CancellationToken.None);
        }

        await writer.FinishAsync(CancellationToken.None);
        return Cycle(1, writer.NextSequence - 1) with { FirstSegment = writer.FirstSegment, LastSegment = writer.LastSegment };
    }

    private static async Task<List<byte[]>?> ReadAsync(Spool spool, PendingCycle cycle, ulong from)
    {
        List<byte[]> records = [];
        bool whole = await spool.TryReadAsync(
            cycle,
            from,
            (_, record) =>
            {
                records.Add(record.ToArray());
                return ValueTask.CompletedTask;
            },
            CancellationToken.None);
        return whole ? records : null;
    }
}
