using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Compression;
using Understudy.Blocks.Identity;

namespace Understudy.Journal.Records;

/// <summary>
/// Makes whole records and takes payloads apart again. Holds one compression and one decompression context: one user at a
/// time. A body is compressed only when that makes it smaller.
/// </summary>
public sealed class RecordCodec : IDisposable
{
    private readonly ZstdCompressor _compressor = new();
    private readonly ZstdDecompressor _decompressor = new();

    /// <summary>Off: bodies are stored as they are. Reading does not care.</summary>
    public bool Compress { get; set; } = true;

    /// <summary>Writes a data record; <paramref name="target"/> needs room for the header and the data. Returns the record's size.</summary>
    public int EncodeData(LineId line, ulong sequence, DiskId disk, long offsetBytes, ReadOnlySpan<byte> data, Span<byte> target) =>
        Encode(
            new RecordHeader { Kind = RecordKind.Data, Line = line, Sequence = sequence, Disk = disk, OffsetBytes = offsetBytes, LengthBytes = data.Length },
            data, target);

    public int EncodeCheckpoint(LineId line, ulong sequence, CheckpointBody body, Span<byte> target)
    {
        Span<byte> bytes = stackalloc byte[CheckpointBody.MaxSizeBytes];
        return Encode(Header(RecordKind.Checkpoint, line, sequence), bytes[..body.Write(bytes)], target);
    }

    public int EncodeGeometry(LineId line, ulong sequence, GeometryBody body, Span<byte> target)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(GeometryBody.MaxSizeBytes);
        try
        {
            return Encode(Header(RecordKind.Geometry, line, sequence), bytes.AsSpan(0, body.Write(bytes)), target);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>The domain XML as UTF-8, at most <see cref="RecordLimits.MaxDataBytes"/>.</summary>
    public int EncodeDefinition(LineId line, ulong sequence, ReadOnlySpan<byte> xml, Span<byte> target) =>
        Encode(Header(RecordKind.Definition, line, sequence), xml, target);

    public static int EncodeZero(LineId line, ulong sequence, DiskId disk, ByteRange range, Span<byte> target)
    {
        RecordHeader header = new()
        {
            Kind = RecordKind.Zero,
            Line = line,
            Sequence = sequence,
            Disk = disk,
            OffsetBytes = range.OffsetBytes,
            LengthBytes = range.LengthBytes,
        };
        header.Write(target);
        return RecordHeader.SizeBytes;
    }

    /// <summary>
    /// Decodes a payload whose checksum has been verified into a target of exactly the record's length. False means that
    /// the payload is not what its encoding says: made wrong, as its checksum is right.
    /// </summary>
    public bool TryDecode(in RecordHeader header, ReadOnlySpan<byte> payload, Span<byte> target)
    {
        Invariant.Check(target.Length == header.LengthBytes, "a payload is decoded into exactly its length");
        switch (header.Encoding)
        {
            case RecordEncoding.Raw:
                payload.CopyTo(target);
                return true;
            case RecordEncoding.Zstd:
                return _decompressor.TryDecompress(payload, target);
            default:
                return false;
        }
    }

    public void Dispose()
    {
        _compressor.Dispose();
        _decompressor.Dispose();
    }

    private static RecordHeader Header(RecordKind kind, LineId line, ulong sequence) =>
        new() { Kind = kind, Line = line, Sequence = sequence };

    private int Encode(RecordHeader header, ReadOnlySpan<byte> body, Span<byte> target)
    {
        ArgumentOutOfRangeException.ThrowIfZero(body.Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(body.Length, RecordLimits.MaxDataBytes);
        Span<byte> payload = target.Slice(RecordHeader.SizeBytes, body.Length);
        int payloadBytes = 0;
        bool smaller = Compress && _compressor.TryCompress(body, payload[..^1], out payloadBytes);
        if (!smaller)
        {
            body.CopyTo(payload);
            payloadBytes = body.Length;
        }

        header = header with
        {
            Encoding = smaller ? RecordEncoding.Zstd : RecordEncoding.Raw,
            LengthBytes = body.Length,
            PayloadBytes = payloadBytes,
            PayloadChecksum = Crc32C.Compute(payload[..payloadBytes]),
        };
        header.Write(target);
        return header.RecordBytes;
    }
}
