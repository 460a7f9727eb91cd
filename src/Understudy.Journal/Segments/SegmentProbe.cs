using System.Buffers;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;

namespace Understudy.Journal.Segments;

/// <summary>Looks at a segment file without changing it.</summary>
internal static class SegmentProbe
{
    /// <summary>The header, and what is wrong with it.</summary>
    public static async ValueTask<(SegmentDefect Defect, SegmentHeader? Header)> ReadHeaderAsync(
        ReadHandles handles, string name, CancellationToken cancellationToken)
    {
        byte[] page = ArrayPool<byte>.Shared.Rent(SegmentHeader.SizeBytes);
        try
        {
            await using ReadHandles.Lease lease = await handles.RentAsync(name, cancellationToken);
            int read = await lease.File.ReadAsync(0, page.AsMemory(0, SegmentHeader.SizeBytes), cancellationToken);
            SegmentDefect defect = SegmentHeader.Read(page.AsSpan(0, read), out SegmentHeader? header);
            return (defect, header);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(page);
        }
    }

    /// <summary>Null when the segment is not sealed, or its trailer is damaged.</summary>
    public static async ValueTask<SegmentTrailer?> ReadTrailerAsync(
        ReadHandles handles, string name, SegmentHeader header, CancellationToken cancellationToken)
    {
        await using ReadHandles.Lease lease = await handles.RentAsync(name, cancellationToken);
        long length = lease.File.LengthBytes;
        if (length < SegmentHeader.SizeBytes + SegmentTrailer.SizeBytes)
        {
            return null;
        }

        byte[] bytes = new byte[SegmentTrailer.SizeBytes];
        int read = await lease.File.ReadAsync(length - SegmentTrailer.SizeBytes, bytes, cancellationToken);
        return SegmentTrailer.TryRead(bytes.AsSpan(0, read), header, length);
    }

    /// <summary>
    /// Walks the records up to the first thing that is not one. Before <paramref name="durableEnd"/> a data record with a
    /// right header and a wrong payload is damage of that extent only, and walked over; after it nothing but whole records
    /// counts, as nothing there was promised.
    /// </summary>
    public static async ValueTask<RecordWalk> WalkAsync(
        IStoreFile file, SegmentHeader header, long endOffset, long durableEnd, ulong lastWanted, CancellationToken cancellationToken)
    {
        RecordWalk walk = new() { EndOffset = SegmentHeader.SizeBytes };
        using SegmentScanner scanner = new(file, SegmentHeader.SizeBytes, endOffset);
        ulong expected = header.FirstSequence;
        while (expected <= lastWanted)
        {
            ScanStep step = await scanner.NextAsync(cancellationToken);
            if (step.Result == ScanResult.End)
            {
                break;
            }

            bool follows = step.Header.Sequence == expected && step.Header.Line == header.Line;
            bool isDamagedExtent = step.Result == ScanResult.DamagedPayload && follows
                && step.Header.IsExtent && step.FileOffset < durableEnd;
            if (!isDamagedExtent && !(step.Result == ScanResult.Record && follows))
            {
                walk.Break = step.Defect == RecordDefect.None ? RecordDefect.BadField : step.Defect;
                break;
            }

            if (isDamagedExtent)
            {
                walk.Damaged.Add(IndexEntry.Of(step.Header, step.FileOffset));
            }

            walk.Entries.Add(IndexEntry.Of(step.Header, step.FileOffset));
            walk.EndOffset = step.FileOffset + step.Header.RecordBytes;
            expected++;
        }

        return walk;
    }

    /// <summary>What a walk has found. <see cref="Break"/> is None when the last record ended exactly at the end.</summary>
    internal sealed class RecordWalk
    {
        public EntryList Entries { get; } = new();

        public List<IndexEntry> Damaged { get; } = [];

        public long EndOffset { get; set; }

        public RecordDefect Break { get; set; }
    }
}
