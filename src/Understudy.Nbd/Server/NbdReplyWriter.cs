using System.Buffers.Binary;
using System.Text;
using Understudy.Blocks;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Server;

/// <summary>
/// The sending half of a connection: whole replies, one at a time. Cancellation in the middle leaves the stream out of
/// step, and is only used to end the connection.
/// </summary>
internal sealed class NbdReplyWriter(Stream stream, bool structured)
{
    /// <summary>Bytes before a read's data: chunk header and offset, or (right-aligned) a simple reply.</summary>
    public const int DataHeaderBytes = ChunkHeader.SizeBytes + 8;

    /// <summary>An error's text for people; the log has the whole.</summary>
    private const int MaxErrorTextBytes = 512;

    private readonly Stream _stream = stream;
    private readonly bool _structured = structured;
    private readonly AsyncGate _sending = new();
    private readonly byte[] _small = new byte[ChunkHeader.SizeBytes + 6 + MaxErrorTextBytes]; // Behind the gate.

    /// <summary>Success without data.</summary>
    public async ValueTask DoneAsync(ulong cookie, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _sending.EnterAsync(cancellationToken);
        new SimpleReply(NbdError.None, cookie).Write(_small);
        await _stream.WriteAsync(_small.AsMemory(0, SimpleReply.SizeBytes), cancellationToken);
    }

    public async ValueTask ErrorAsync(ulong cookie, NbdError error, string? text, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _sending.EnterAsync(cancellationToken);
        await _stream.WriteAsync(_small.AsMemory(0, WriteError(cookie, error, text ?? "")), cancellationToken);
    }

    /// <summary>
    /// A read's data, behind <see cref="DataHeaderBytes"/> of room in <paramref name="buffer"/>. All zeros go as a hole:
    /// 32 bytes in place of the whole.
    /// </summary>
    public async ValueTask DataAsync(ulong cookie, ulong offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int length = buffer.Length - DataHeaderBytes;
        Memory<byte> message = buffer;
        if (!_structured)
        {
            message = buffer[(DataHeaderBytes - SimpleReply.SizeBytes)..];
            new SimpleReply(NbdError.None, cookie).Write(message.Span);
        }
        else if (ZeroScan.IsZero(buffer.Span[DataHeaderBytes..]))
        {
            message = buffer.Length >= ChunkHeader.SizeBytes + 12 ? buffer[..(ChunkHeader.SizeBytes + 12)] : new byte[ChunkHeader.SizeBytes + 12];
            new ChunkHeader(ChunkFlags.Done, ChunkType.OffsetHole, cookie, 12).Write(message.Span);
            BinaryPrimitives.WriteUInt64BigEndian(message.Span[ChunkHeader.SizeBytes..], offset);
            BinaryPrimitives.WriteUInt32BigEndian(message.Span[(ChunkHeader.SizeBytes + 8)..], (uint)length);
        }
        else
        {
            new ChunkHeader(ChunkFlags.Done, ChunkType.OffsetData, cookie, (uint)length + 8).Write(message.Span);
            BinaryPrimitives.WriteUInt64BigEndian(message.Span[ChunkHeader.SizeBytes..], offset);
        }

        using AsyncGate.Pass pass = await _sending.EnterAsync(cancellationToken);
        await _stream.WriteAsync(message, cancellationToken);
    }

    /// <summary>The one block-status chunk of a reply; only spoken with structured replies.</summary>
    public async ValueTask StatusAsync(
        ulong cookie, uint context, IReadOnlyList<(uint Length, uint Flags)> extents, CancellationToken cancellationToken)
    {
        byte[] message = new byte[ChunkHeader.SizeBytes + 4 + (8 * extents.Count)];
        new ChunkHeader(ChunkFlags.Done, ChunkType.BlockStatus, cookie, (uint)(message.Length - ChunkHeader.SizeBytes)).Write(message);
        Span<byte> at = message.AsSpan(ChunkHeader.SizeBytes);
        BinaryPrimitives.WriteUInt32BigEndian(at, context);
        at = at[4..];
        foreach ((uint length, uint flags) in extents)
        {
            BinaryPrimitives.WriteUInt32BigEndian(at, length);
            BinaryPrimitives.WriteUInt32BigEndian(at[4..], flags);
            at = at[8..];
        }

        using AsyncGate.Pass pass = await _sending.EnterAsync(cancellationToken);
        await _stream.WriteAsync(message, cancellationToken);
    }

    private int WriteError(ulong cookie, NbdError error, string text)
    {
        if (!_structured)
        {
            new SimpleReply(error, cookie).Write(_small);
            return SimpleReply.SizeBytes;
        }

        Span<byte> said = _small.AsSpan(ChunkHeader.SizeBytes + 6);
        Encoding.UTF8.GetEncoder().Convert(text, said, flush: false, out _, out int textBytes, out _);
        new ChunkHeader(ChunkFlags.Done, ChunkType.Error, cookie, (uint)textBytes + 6).Write(_small);
        BinaryPrimitives.WriteUInt32BigEndian(_small.AsSpan(ChunkHeader.SizeBytes), (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(_small.AsSpan(ChunkHeader.SizeBytes + 4), (ushort)textBytes);
        return ChunkHeader.SizeBytes + 6 + textBytes;
    }
}
