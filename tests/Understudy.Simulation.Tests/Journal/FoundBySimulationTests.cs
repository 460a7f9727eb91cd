using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;
using Understudy.Testing.Devices;

namespace Understudy.Simulation.Tests.Journal;

/// <summary>What the simulation has found, each once more by hand, named after what happened.</summary>
public sealed class FoundBySimulationTests
{
    private static readonly LineId Line = new(1, 7);

    /// <summary>The next segment got the number after the discarded one, and the gap was refused as a lost segment.</summary>
    [Fact]
    public async Task Segment_whose_creation_was_cut_short_leaves_no_gap_in_the_numbers()
    {
        var store = new MemoryFileStore();
        var options = new SegmentLogOptions
        {
            Store = store,
            Prefix = "journal/",
            Replica = new ReplicaId(new Guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)),
            Time = TimeProvider.System,
            Logger = NullLogger.Instance,
        };
        await using (SegmentLog log = await SegmentLog.CreateAsync(options, firstSequence: 1, default))
        {
            await AppendAsync(log);
            await log.SealAsync(default);
        }

        await using (IStoreFile torn = await store.OpenAsync("journal/0000000000000002.seg", FileOpen.New, default))
        {
            await torn.WriteAsync(0, new byte[512], default);
        }

        await using (SegmentLog log = await SegmentLog.OpenAsync(options, default))
        {
            await AppendAsync(log);
            Assert.Equal(2UL, await log.FlushAsync(default));
        }

        await using SegmentLog again = await SegmentLog.OpenAsync(options, default);
        Assert.Equal(2UL, again.FlushedSequence);
    }

    private static async Task AppendAsync(SegmentLog log)
    {
        using var codec = new RecordCodec();
        byte[] record = new byte[RecordHeader.SizeBytes + 512];
        int size = codec.EncodeData(Line, log.ReceivedSequence + 1, new DiskId(0), 0, new byte[512], record);
        Assert.Equal(RecordDefect.None, RecordHeader.Read(record, out RecordHeader header));
        await log.AppendAsync(header, record.AsMemory(0, size), default);
    }
}
