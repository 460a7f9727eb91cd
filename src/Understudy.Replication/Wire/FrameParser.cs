using System.Buffers.Binary;
using Understudy.Blocks;

namespace Understudy.Replication.Wire;

/// <summary>What the bytes so far amount to; a closed set.</summary>
internal abstract record ParseResult
{
    private ParseResult()
    {
    }

    /// <summary>Not a whole frame yet: read more into <see cref="FrameParser.GetFreeSpace"/>.</summary>
    public sealed record NeedMore : ParseResult
    {
        public static readonly NeedMore Instance = new();
    }

    public sealed record Greeting(Banner Banner) : ParseResult;

    public sealed record Control(ControlFrame Frame) : ParseResult;

    /// <summary>Header and payload, as they came; the header's checksum is right, the payload's is the replica's to check.
    /// Valid until the next call of <see cref="FrameParser.GetFreeSpace"/>.</summary>
    public sealed record Record(ReadOnlyMemory<byte> Bytes) : ParseResult;

    /// <summary>Nothing after this can be understood; the connection ends.</summary>
    public sealed record Broken(RefusalCode Code, string What) : ParseResult;
}

/// <summary>
/// Bytes in, frames out; no I/O. First a banner, then frames told apart by their first four bytes. The buffer grows only
/// as far as bytes have really come, and only after a header's checksum has vouched for the length in it: a peer cannot
/// make this side allocate by claiming. Before <see cref="AcceptRecords"/> it never exceeds <see cref="SmallBuffer"/>.
/// </summary>
internal sealed class FrameParser
{
    /// <summary>Holds the banner and any control frame.</summary>
    internal const int SmallBuffer = 4096;

    private static readonly int LargestBuffer = RecordFraming.MaxRecordBytes + SmallBuffer;

    private byte[] _buffer = new byte[SmallBuffer];
    private int _start;
    private int _end;
    private bool _greeted;

    /// <summary>Whether a record may come now; one that comes while it may not breaks the protocol.</summary>
    public bool AcceptRecords { get; set; }

    public int BufferBytes => _buffer.Length;

    /// <summary>Nothing has come beyond what was taken.</summary>
    public bool IsEmpty => _start == _end;

    /// <summary>Room for the next read; never empty. What <see cref="Next"/> handed out before is invalid from here on.</summary>
    public Memory<byte> GetFreeSpace()
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_start > 0 && _end > _buffer.Length / 2)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _buffer.Length)
        {
            // Every frame fits the largest buffer, and Next() has taken or refused all that was whole.
            Invariant.Check(_buffer.Length < LargestBuffer, "a frame outgrew the buffer");
            int doubled = Math.Min(LargestBuffer, Math.Max(_buffer.Length * 2, 256 * 1024));
            Array.Resize(ref _buffer, doubled);
        }

        return _buffer.AsMemory(_end);
    }

    public void Advance(int readBytes) => _end += readBytes;

    /// <summary>Takes the next whole frame out of the buffer.</summary>
    public ParseResult Next()
    {
        ReadOnlySpan<byte> waiting = _buffer.AsSpan(_start, _end - _start);
        if (!_greeted)
        {
            return NextBanner(waiting);
        }

        if (waiting.Length < 4)
        {
            return ParseResult.NeedMore.Instance;
        }

        return BinaryPrimitives.ReadUInt32LittleEndian(waiting) switch
        {
            ControlFrameCodec.Magic => NextControl(waiting),
            RecordFraming.Magic when AcceptRecords => NextRecord(waiting),
            RecordFraming.Magic => new ParseResult.Broken(RefusalCode.Malformed, "a record came where none is allowed"),
            uint other => new ParseResult.Broken(RefusalCode.Malformed, $"a frame begins with {other:x8}, which is no frame of this protocol"),
        };
    }

    private ParseResult NextBanner(ReadOnlySpan<byte> waiting)
    {
        int end = waiting.IndexOf((byte)'\n');
        if (end < 0)
        {
            return waiting.Length < ProtocolLimits.BannerBytes && Banner.CanBegin(waiting)
                ? ParseResult.NeedMore.Instance
                : new ParseResult.Broken(RefusalCode.Malformed, "the first line is no banner of Understudy");
        }

        if (Banner.TryParse(waiting[..end]) is not { } banner)
        {
            return new ParseResult.Broken(RefusalCode.Malformed, "the first line is no banner of Understudy");
        }

        _start += end + 1;
        _greeted = true;
        return new ParseResult.Greeting(banner);
    }

    private ParseResult NextControl(ReadOnlySpan<byte> waiting)
    {
        if (waiting.Length < ControlFrameCodec.HeaderBytes)
        {
            return ParseResult.NeedMore.Instance;
        }

        if (ControlFrameCodec.CheckHeader(waiting[..ControlFrameCodec.HeaderBytes], out int bodyBytes) is { } headerError)
        {
            return new ParseResult.Broken(RefusalCode.Malformed, headerError);
        }

        int total = ControlFrameCodec.HeaderBytes + bodyBytes;
        if (waiting.Length < total)
        {
            return ParseResult.NeedMore.Instance;
        }

        _start += total;
        return ControlFrameCodec.Decode(waiting[..total], out string? error) is { } frame
            ? new ParseResult.Control(frame)
            : new ParseResult.Broken(RefusalCode.Malformed, error ?? "a control frame is not understood");
    }

    private ParseResult NextRecord(ReadOnlySpan<byte> waiting)
    {
        if (waiting.Length < RecordFraming.HeaderBytes)
        {
            return ParseResult.NeedMore.Instance;
        }

        if (RecordFraming.CheckHeader(waiting[..RecordFraming.HeaderBytes], out int total) is { } error)
        {
            return new ParseResult.Broken(RefusalCode.Corrupt, error);
        }

        if (waiting.Length < total)
        {
            return ParseResult.NeedMore.Instance;
        }

        ParseResult record = new ParseResult.Record(_buffer.AsMemory(_start, total));
        _start += total;
        return record;
    }
}
