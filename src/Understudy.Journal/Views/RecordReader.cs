using System.Buffers;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal.Views;

/// <summary>Reads content of records, verified and decoded. Any number of callers.</summary>
internal sealed class RecordReader(CodecPool codecs)
{
    /// <summary>Decodes a whole data record into a target of exactly its length.</summary>
    public async ValueTask ReadAsync(SegmentExtent source, Memory<byte> target, CancellationToken cancellationToken)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(source.Entry.RecordBytes);
        try
        {
            RecordHeader header = await source.Segment.ReadRecordAsync(source.Entry, buffer, cancellationToken);
            Decode(source, header, buffer.AsSpan(RecordHeader.SizeBytes, header.PayloadBytes), target.Span);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Reads a part of a record, zero or data; data that is not taken whole is kept for the next part.</summary>
    public async ValueTask ReadPartAsync(
        SegmentExtent source, long offsetBytes, Memory<byte> target, ContentCache contents, CancellationToken cancellationToken)
    {
        IndexEntry entry = source.Entry;
        if (entry.Kind == RecordKind.Zero)
        {
            target.Span.Clear();
            return;
        }

        int within = (int)(offsetBytes - entry.OffsetBytes);
        ContentCache.Key key = new(source.Segment, entry.FileOffset, 0);
        if (target.Length == entry.LengthBytes)
        {
            await ReadAsync(source, target, cancellationToken);
        }
        else if (!contents.TryCopy(key, within, target.Span))
        {
            byte[] whole = ArrayPool<byte>.Shared.Rent((int)entry.LengthBytes);
            try
            {
                Memory<byte> content = whole.AsMemory(0, (int)entry.LengthBytes);
                await ReadAsync(source, content, cancellationToken);
                content.Span.Slice(within, target.Length).CopyTo(target.Span);
                contents.Add(key, content.Span);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(whole);
            }
        }
    }

    private void Decode(SegmentExtent source, in RecordHeader header, ReadOnlySpan<byte> payload, Span<byte> target)
    {
        RecordCodec codec = codecs.Rent();
        try
        {
            if (!codec.TryDecode(header, payload, target))
            {
                throw source.Segment.Damage(source.Entry.FileOffset, $"the payload of record {header.Sequence} does not decode");
            }
        }
        finally
        {
            codecs.Return(codec);
        }
    }
}
