using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Replication.Comparing;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Tests.Wire;

public sealed class ControlFrameCodecTests
{
    private static readonly LineId Line = new(3, new UInt128(0x1122334455667788, 0x99aabbccddeeff00));

    public static TheoryData<ControlFrame, int> EveryFrame => new()
    {
        { new ControlFrame.Hello(new ReplicaId(Guid.NewGuid()), new VmId(Guid.NewGuid()), Line, ProtocolFeatures.None), 56 },
        { new ControlFrame.Welcome(Line, 77, new RecoveryPointId(Line, 70), 1 << 20, TimeSpan.FromSeconds(30), ProtocolFeatures.None), 68 },
        { new ControlFrame.Welcome(Line, 0, null, 1, TimeSpan.FromMilliseconds(1), ProtocolFeatures.None), 68 },
        { new ControlFrame.Refuse(new Refusal(RefusalCode.StaleLine, FaultClass.NeedsOperator, "stale…", "look", 5, Line)), 84 + 2 + 8 + 2 + 4 },
        {
            new ControlFrame.Refuse(new Refusal(
                RefusalCode.StaleLine, FaultClass.NeedsOperator, "s", "l", 0, Line, DateTimeOffset.FromUnixTimeMilliseconds(1_763_000_000_123),
                new LineOffer(new TransferId(Guid.NewGuid()), new RecoveryPointId(Line, 9)))),
            84 + 2 + 1 + 2 + 1
        },
        { new ControlFrame.Refuse(new Refusal(RefusalCode.Gap, FaultClass.Transient, "", "", ulong.MaxValue)), 84 + 2 + 2 },
        { new ControlFrame.Call(new ReplicaId(Guid.NewGuid()), new VmId(Guid.NewGuid())), 32 },
        { ControlFrame.Answer.Value, 0 },
        { new ControlFrame.Ping(ulong.MaxValue), 8 },
        { new ControlFrame.Pong(1), 8 },
        { new ControlFrame.EndOfBatch(2), 8 },
        { new ControlFrame.Ack(3), 8 },
        { new ControlFrame.AskSums(new ComparedRange(new DiskId(7), new ByteRange(1L << 40, 512), 1 << 20)), 24 },
        { ControlFrame.Sums.OfZeros(new DiskId(7), 1L << 40, 1024), 16 },
        { new ControlFrame.Sums(new DiskId(7), 0, 64, Enumerable.Range(0, 1024).Select(i => (byte)i).ToArray()), 16 + 1024 },
    };

    [Theory]
    [MemberData(nameof(EveryFrame))]
    public void Frame_comes_back_as_it_was_written_with_the_documented_size(ControlFrame frame, int bodyBytes)
    {
        byte[] bytes = ControlFrameCodec.Encode(frame);

        Assert.Equal(ControlFrameCodec.HeaderBytes + bodyBytes, bytes.Length);
        Assert.Null(ControlFrameCodec.CheckHeader(bytes.AsSpan(0, ControlFrameCodec.HeaderBytes), out int read));
        Assert.Equal(bodyBytes, read);
        Assert.Equal(frame, ControlFrameCodec.Decode(bytes, out string? error));
        Assert.Null(error);
    }

    [Theory]
    [MemberData(nameof(EveryFrame))]
    public void Every_flipped_bit_is_noticed(ControlFrame frame, int bodyBytes)
    {
        byte[] bytes = ControlFrameCodec.Encode(frame);
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            bool whole = ControlFrameCodec.CheckHeader(bytes.AsSpan(0, ControlFrameCodec.HeaderBytes), out int read) is null
                && read == bodyBytes
                && ControlFrameCodec.Decode(bytes, out _) is not null;
            Assert.False(whole, $"bit {bit} of a {frame.GetType().Name} went unnoticed");
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Theory]
    [InlineData(0, 512, 65536 - 1)] // no block size
    [InlineData(0, 512, 32768)]
    [InlineData(0, 512, 1 << 21)]
    [InlineData(0, 512, 196608)]
    [InlineData(0, 512, -65536)]
    [InlineData(65536, 512, 131072)] // not at a block
    [InlineData(-65536, 512, 65536)]
    [InlineData(0, 0, 65536)]
    [InlineData(0, -512, 65536)]
    [InlineData(0, ProtocolLimits.ComparedBytes + 1L, 65536)] // more than one question may ask
    [InlineData(1L << 53, 65536, 65536)] // behind the largest disk
    [InlineData(long.MaxValue - 65535, 65536, 65536)]
    public void Question_about_what_no_disk_has_is_not_understood(long offset, long length, int blockBytes)
    {
        byte[] bytes = Forge((byte)ControlType.AskSums, 24, 24, body =>
        {
            BinaryPrimitives.WriteUInt16LittleEndian(body[2..], 1);
            BinaryPrimitives.WriteInt32LittleEndian(body[4..], blockBytes);
            BinaryPrimitives.WriteInt64LittleEndian(body[8..], offset);
            BinaryPrimitives.WriteInt64LittleEndian(body[16..], length);
        });
        Assert.Null(ControlFrameCodec.Decode(bytes, out string? error));
        Assert.NotNull(error);
        Assert.False(ComparedRange.IsLawful(offset, length, blockBytes));
    }

    [Theory]
    [InlineData(2, 1, 0)] // an unknown kind
    [InlineData(0, 2, 16)] // a sum is missing
    [InlineData(0, 0, 0)]
    [InlineData(0, -1, 16)]
    [InlineData(0, 65, 65 * 16)] // more than a frame may hold
    [InlineData(1, 1, 16)] // zeros have no sums
    [InlineData(1, 0, 0)]
    [InlineData(1, 1025, 0)] // more than a question may ask
    public void Answer_that_does_not_add_up_is_not_understood(ushort kind, int blocks, int sumBytes)
    {
        byte[] bytes = Forge((byte)ControlType.Sums, 16 + (uint)sumBytes, 16 + sumBytes, body =>
        {
            BinaryPrimitives.WriteUInt16LittleEndian(body[2..], kind);
            BinaryPrimitives.WriteInt32LittleEndian(body[4..], blocks);
        });
        Assert.Null(ControlFrameCodec.Decode(bytes, out string? error));
        Assert.NotNull(error);
    }

    [Fact]
    public void Header_is_laid_out_as_documented()
    {
        byte[] bytes = ControlFrameCodec.Encode(new ControlFrame.Ack(0x0102030405060708));

        Assert.Equal("UsCf"u8.ToArray(), bytes[..4]);
        Assert.Equal(new byte[] { 1, (byte)ControlType.Ack, 0, 0, 8, 0, 0, 0 }, bytes[4..12]);
        Assert.Equal(Crc32C.Compute(bytes.AsSpan(20)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(12)));
        Assert.Equal(Crc32C.Compute(bytes.AsSpan(0, 16)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(16)));
        Assert.Equal(new byte[] { 8, 7, 6, 5, 4, 3, 2, 1 }, bytes[20..]);
    }

    [Fact]
    public void Record_magic_here_is_the_journals()
    {
        byte[] header = new byte[RecordHeader.SizeBytes];
        RecordCodec.EncodeZero(Line, 1, new DiskId(0), new ByteRange(0, 512), header);
        Assert.Equal(RecordFraming.Magic, BinaryPrimitives.ReadUInt32LittleEndian(header));
        Assert.Equal(ProtocolLimits.RecordPayloadBytes, RecordLimits.MaxPayloadBytes);
    }

    [Fact]
    public void Largest_refusal_fits_a_control_frame_and_long_text_is_cut_at_a_whole_character()
    {
        string text = new('…', 4000);
        byte[] bytes = ControlFrameCodec.Encode(new ControlFrame.Refuse(new Refusal(RefusalCode.Malformed, FaultClass.Fatal, text, text)));

        Assert.Null(ControlFrameCodec.CheckHeader(bytes.AsSpan(0, ControlFrameCodec.HeaderBytes), out _));
        ControlFrame.Refuse read = Assert.IsType<ControlFrame.Refuse>(ControlFrameCodec.Decode(bytes, out _));
        Assert.Equal(text[..(ProtocolLimits.TextBytes / 3)], read.Refusal.What);
    }

    [Theory]
    [InlineData(0, 8)]
    [InlineData(8, 8)]
    [InlineData(200, 8)]
    [InlineData((byte)ControlType.Ack, 7)]
    [InlineData((byte)ControlType.Ack, 9)]
    [InlineData((byte)ControlType.Hello, 8)]
    [InlineData((byte)ControlType.Welcome, 56)]
    [InlineData((byte)ControlType.Refuse, 8)]
    [InlineData((byte)ControlType.Refuse, 35)]
    [InlineData((byte)ControlType.AskSums, 24)] // of no known kind of sum
    [InlineData((byte)ControlType.AskSums, 23)]
    [InlineData((byte)ControlType.Sums, 15)]
    public void Unknown_type_or_wrong_size_is_not_understood(byte type, int bodyBytes)
    {
        byte[] bytes = Forge(type, (uint)bodyBytes, bodyBytes);
        Assert.Null(ControlFrameCodec.CheckHeader(bytes.AsSpan(0, ControlFrameCodec.HeaderBytes), out _));
        Assert.Null(ControlFrameCodec.Decode(bytes, out string? error));
        Assert.NotNull(error);
    }

    [Theory]
    [InlineData(ProtocolLimits.ControlBodyBytes + 1u)]
    [InlineData(int.MaxValue)]
    [InlineData(uint.MaxValue)]
    public void Claimed_length_beyond_the_limit_is_refused_though_its_checksum_is_right(uint claimed)
    {
        byte[] bytes = Forge((byte)ControlType.Ack, claimed, 0);
        Assert.NotNull(ControlFrameCodec.CheckHeader(bytes, out int bodyBytes));
        Assert.Equal(0, bodyBytes);
    }

    internal delegate void WriteBody(Span<byte> body);

    internal static byte[] Forge(byte type, uint claimedBytes, int bodyBytes, WriteBody? write = null)
    {
        byte[] bytes = new byte[ControlFrameCodec.HeaderBytes + bodyBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, ControlFrameCodec.Magic);
        bytes[4] = 1;
        bytes[5] = type;
        write?.Invoke(bytes.AsSpan(ControlFrameCodec.HeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), claimedBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Crc32C.Compute(bytes.AsSpan(20)));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(16), Crc32C.Compute(bytes.AsSpan(0, 16)));
        return bytes;
    }
}
