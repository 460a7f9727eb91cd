using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Replication.Comparing;

namespace Understudy.Replication.Wire;

/// <summary>The two frames of a comparison. What is not lawful is not understood, so that it ends the connection.</summary>
public static partial class ControlFrameCodec
{
    /// <summary>SHA-256, its first 128 bits.</summary>
    private const ushort Sha256 = 1;

    private const int AskSumsBytes = 24;
    private const int SumsFixedBytes = 16;

    private static int EncodeAskSums(ComparedRange range, Span<byte> body)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(body, range.Disk.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(body[2..], Sha256);
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], range.BlockBytes);
        BinaryPrimitives.WriteInt64LittleEndian(body[8..], range.Range.OffsetBytes);
        BinaryPrimitives.WriteInt64LittleEndian(body[16..], range.Range.LengthBytes);
        return AskSumsBytes;
    }

    private static ControlFrame.AskSums? DecodeAskSums(ReadOnlySpan<byte> body)
    {
        if (body.Length != AskSumsBytes || BinaryPrimitives.ReadUInt16LittleEndian(body[2..]) != Sha256)
        {
            return null;
        }

        long offset = BinaryPrimitives.ReadInt64LittleEndian(body[8..]);
        long length = BinaryPrimitives.ReadInt64LittleEndian(body[16..]);
        int blockBytes = BinaryPrimitives.ReadInt32LittleEndian(body[4..]);
        if (!ComparedRange.IsLawful(offset, length, blockBytes))
        {
            return null;
        }

        return new ControlFrame.AskSums(new ComparedRange(
            new DiskId(BinaryPrimitives.ReadUInt16LittleEndian(body)), new ByteRange(offset, length), blockBytes));
    }

    private static int EncodeSums(ControlFrame.Sums sums, Span<byte> body)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(body, sums.Disk.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(body[2..], sums.IsZeros ? (ushort)1 : (ushort)0);
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], sums.Blocks);
        BinaryPrimitives.WriteInt64LittleEndian(body[8..], sums.OffsetBytes);
        sums.Content.Span.CopyTo(body[SumsFixedBytes..]);
        return SumsFixedBytes + sums.Content.Length;
    }

    private static ControlFrame.Sums? DecodeSums(ReadOnlySpan<byte> body)
    {
        if (body.Length < SumsFixedBytes || BinaryPrimitives.ReadUInt16LittleEndian(body[2..]) is var kind && kind > 1)
        {
            return null;
        }

        int blocks = BinaryPrimitives.ReadInt32LittleEndian(body[4..]);
        bool isZeros = BinaryPrimitives.ReadUInt16LittleEndian(body[2..]) == 1;
        int most = isZeros ? ProtocolLimits.ComparedBytes / BlockSize.Bytes : ProtocolLimits.SumsInFrame;
        if (blocks <= 0 || blocks > most || body.Length != SumsFixedBytes + (isZeros ? 0 : blocks * ContentSum.SizeBytes))
        {
            return null;
        }

        return new ControlFrame.Sums(
            new DiskId(BinaryPrimitives.ReadUInt16LittleEndian(body)),
            BinaryPrimitives.ReadInt64LittleEndian(body[8..]),
            blocks,
            body[SumsFixedBytes..].ToArray());
    }
}
