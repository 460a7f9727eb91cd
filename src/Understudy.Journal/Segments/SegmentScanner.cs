using System.Buffers;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;

namespace Understudy.Journal.Segments;

public enum ScanResult
{
    /// <summary>A whole record: header and payload match their checksums.</summary>
    Record,

    /// <summary>The header is right, the payload is not; the scan can go on behind it.</summary>
    DamagedPayload,

    /// <summary>Exactly the end of what was to be scanned.</summary>
    End,

    /// <summary>No record here (torn, or damaged beyond its header); the scan is over.</summary>
    Broken,
}

/// <summary>One step of a scan. <see cref="Record"/> is valid until the next step.</summary>
public readonly record struct ScanStep(
    ScanResult Result, RecordDefect Defect, RecordHeader Header, long FileOffset, ReadOnlyMemory<byte> Record)
{
    public ReadOnlyMemory<byte> Payload => Record[RecordHeader.SizeBytes..];
}

/// <summary>Walks the records of a segment in order, verifying each. One user at a time; owns its buffer, not the file.</summary>
public sealed class SegmentScanner : IDisposable
{
    private readonly IStoreFile _file;
    private readonly long _endOffset;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(RecordLimits.MaxRecordBytes);
    private int _start;
    private int _filled;
    private long _nextOffset;

    /// <summary>Scans from a record's place (the first is at <see cref="SegmentHeader.SizeBytes"/>) up to an end.</summary>
    public SegmentScanner(IStoreFile file, long fromOffset, long endOffset)
    {
        _file = file;
        _nextOffset = fromOffset;
        _endOffset = endOffset;
    }

    public async ValueTask<ScanStep> NextAsync(CancellationToken cancellationToken)
    {
        if (_nextOffset >= _endOffset)
        {
            return new ScanStep(ScanResult.End, RecordDefect.None, default, _nextOffset, default);
        }

        await FillAsync(RecordHeader.SizeBytes, cancellationToken);
        RecordDefect defect = RecordHeader.Read(_buffer.AsSpan(_start, _filled - _start), out RecordHeader header);
        if (defect != RecordDefect.None)
        {
            return new ScanStep(ScanResult.Broken, defect, default, _nextOffset, default);
        }

        await FillAsync(header.RecordBytes, cancellationToken);
        if (_filled - _start < header.RecordBytes)
        {
            return new ScanStep(ScanResult.Broken, RecordDefect.TooShort, header, _nextOffset, default);
        }

        ReadOnlyMemory<byte> record = _buffer.AsMemory(_start, header.RecordBytes);
        bool whole = header.Matches(record.Span[RecordHeader.SizeBytes..]);
        ScanStep step = whole
            ? new ScanStep(ScanResult.Record, RecordDefect.None, header, _nextOffset, record)
            : new ScanStep(ScanResult.DamagedPayload, RecordDefect.BadPayloadChecksum, header, _nextOffset, record);
        _start += header.RecordBytes;
        _nextOffset += header.RecordBytes;
        return step;
    }

    public void Dispose()
    {
        byte[] buffer = _buffer;
        _buffer = [];
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Gets <paramref name="needed"/> bytes in front of the next record, or all there are before the end.</summary>
    private async ValueTask FillAsync(int needed, CancellationToken cancellationToken)
    {
        if (_filled - _start >= needed)
        {
            return;
        }

        if (_start + needed > _buffer.Length || _start == _filled)
        {
            _buffer.AsSpan(_start, _filled - _start).CopyTo(_buffer);
            _filled -= _start;
            _start = 0;
        }

        while (_filled - _start < needed)
        {
            long at = _nextOffset + (_filled - _start);
            int wanted = (int)Math.Min(_buffer.Length - _filled, _endOffset - at);
            int read = wanted == 0 ? 0 : await _file.ReadAsync(at, _buffer.AsMemory(_filled, wanted), cancellationToken);
            if (read == 0)
            {
                return;
            }

            _filled += read;
        }
    }
}
