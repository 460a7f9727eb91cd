using System.Buffers.Binary;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Bases;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal.Tests;

public sealed class RecordCodecTests
{
    private static readonly LineId Line = new(3, UInt128.Parse("9f86d081884c7d659a2feaa0c55ad015", System.Globalization.NumberStyles.HexNumber, null));

    [Fact]
    public void Sizes_are_those_of_the_format_pages()
    {
        Assert.Equal(80, RecordHeader.SizeBytes);
        Assert.Equal(4096, SegmentHeader.SizeBytes);
        Assert.Equal(128, SegmentTrailer.SizeBytes);
        Assert.Equal(40, IndexEntry.SizeBytes);
        Assert.Equal(4096, IndexPage.SizeBytes);
        Assert.Equal(102, IndexPage.MaxEntries);
        Assert.Equal(32, IndexFence.SizeBytes);
        Assert.Equal(128, Watermark.SizeBytes);
        Assert.Equal(8192, WatermarkFile.FileBytes);
        Assert.Equal(4096, BaseSums.HeaderBytes);
        Assert.Equal(128, ApplyLog.HeaderBytes);
        Assert.Equal(48, ApplyLog.EntryBytes);
        Assert.Equal(64, DivergenceFile.HeaderBytes);
        Assert.Equal(24, DivergenceFile.EntryBytes);
        Assert.Equal(1024 * 1024, RecordLimits.MaxPayloadBytes);
        Assert.Equal(65536, BlockSize.Bytes);
    }

    [Fact]
    public void A_header_is_written_byte_for_byte_as_its_page_says()
    {
        byte[] bytes = new byte[RecordHeader.SizeBytes];
        RecordCodec.EncodeZero(Line, 0x0102, new DiskId(5), new ByteRange(0x10000, 0x200), bytes);
        Assert.Equal(
            "55535231" + "0100" + "02" + "00" + "0000" + "0500" + "03000000" + "15d05ac5a0ea2f9a657d4c8881d0869f"
            + "0201000000000000" + "0000010000000000" + "0002000000000000" + "00000000" + "00000000" + "000000000000000000000000"
            + Convert.ToHexStringLower(BitConverter.GetBytes(Crc32C.Compute(bytes.AsSpan(0, 76)))),
            Convert.ToHexStringLower(bytes));
    }

    [Theory]
    [InlineData(65536, false)]
    [InlineData(65536, true)]
    [InlineData(512, false)]
    [InlineData(1024 * 1024, true)]
    public void Data_comes_back_as_it_went_in_and_is_stored_raw_when_that_is_not_larger(int length, bool compressible)
    {
        using RecordCodec codec = new();
        byte[] data = new byte[length];
        new Random(length).NextBytes(data);
        if (compressible)
        {
            data.AsSpan(100).Fill(9);
        }

        byte[] record = new byte[RecordHeader.SizeBytes + length];
        int bytes = codec.EncodeData(Line, 7, new DiskId(1), 65536, data, record);
        Assert.Equal(RecordDefect.None, RecordHeader.Read(record, out RecordHeader header));
        Assert.Equal(compressible ? RecordEncoding.Zstd : RecordEncoding.Raw, header.Encoding);
        Assert.Equal(bytes, header.RecordBytes);
        byte[] decoded = new byte[length];
        Assert.True(header.Matches(record.AsSpan(80, header.PayloadBytes)));
        Assert.True(codec.TryDecode(header, record.AsSpan(80, header.PayloadBytes), decoded));
        Assert.Equal(data, decoded);
    }

    [Fact]
    public void Any_flipped_bit_of_a_record_is_noticed()
    {
        using RecordCodec codec = new();
        byte[] record = new byte[RecordHeader.SizeBytes + 512];
        byte[] data = new byte[512];
        new Random(1).NextBytes(data);
        int bytes = codec.EncodeData(Line, 7, new DiskId(1), 512, data, record);
        for (int bit = 0; bit < bytes * 8; bit++)
        {
            record[bit / 8] ^= (byte)(1 << (bit % 8));
            bool whole = RecordHeader.Read(record, out RecordHeader header) == RecordDefect.None && header.Matches(record.AsSpan(80, bytes - 80));
            Assert.False(whole, $"bit {bit}");
            record[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    public static TheoryData<string, RecordDefect> Nonsense => new()
    {
        { "short", RecordDefect.TooShort },
        { "magic", RecordDefect.BadMagic },
        { "version", RecordDefect.UnknownVersion },
        { "kind", RecordDefect.UnknownKind },
        { "encoding", RecordDefect.UnknownEncoding },
        { "flags", RecordDefect.UnknownFlags },
        { "reserved", RecordDefect.UnknownFlags },
        { "no line", RecordDefect.BadField },
        { "sequence 0", RecordDefect.BadField },
        { "odd offset", RecordDefect.BadField },
        { "negative offset", RecordDefect.BadField },
        { "no length", RecordDefect.BadField },
        { "length overflows", RecordDefect.BadField },
        { "payload of a zero", RecordDefect.BadField },
        { "huge payload", RecordDefect.BadField },
        { "negative payload", RecordDefect.BadField },
    };

    [Theory]
    [MemberData(nameof(Nonsense))]
    public void Nonsense_with_a_right_checksum_is_refused_by_name(string what, RecordDefect expected)
    {
        byte[] h = new byte[RecordHeader.SizeBytes];
        RecordCodec.EncodeZero(Line, 7, new DiskId(1), new ByteRange(512, 1024), h);
        switch (what)
        {
            case "magic": h[0] ^= 1; break;
            case "version": h[4] = 2; break;
            case "kind": h[6] = 6; break;
            case "encoding": h[7] = 2; break;
            case "flags": h[8] = 1; break;
            case "reserved": h[70] = 1; break;
            case "no line": h.AsSpan(12, 20).Clear(); break;
            case "sequence 0": h.AsSpan(32, 8).Clear(); break;
            case "odd offset": h[40] = 1; break;
            case "negative offset": BinaryPrimitives.WriteInt64LittleEndian(h.AsSpan(40), -512); break;
            case "no length": h.AsSpan(48, 8).Clear(); break;
            case "length overflows": BinaryPrimitives.WriteInt64LittleEndian(h.AsSpan(48), long.MaxValue / 512 * 512); break;
            case "payload of a zero": h[56] = 1; break;
            case "huge payload": h[6] = 1; BinaryPrimitives.WriteInt32LittleEndian(h.AsSpan(56), int.MaxValue); break;
            case "negative payload": h[6] = 1; BinaryPrimitives.WriteInt32LittleEndian(h.AsSpan(56), -1); break;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(h.AsSpan(76), Crc32C.Compute(h.AsSpan(0, 76)));
        Assert.Equal(expected, RecordHeader.Read(what == "short" ? h.AsSpan(0, 79) : h, out _));
    }

    [Fact]
    public void Bodies_come_back_as_they_went_in_and_bytes_behind_them_are_left_to_later_versions()
    {
        byte[] bytes = new byte[CheckpointBody.MaxSizeBytes + 8];
        CheckpointBody checkpoint = new() { Kind = PointKind.Bookmark, CutAt = new DateTimeOffset(2026, 11, 22, 1, 2, 3, 4, 5, TimeSpan.Zero), Hidden = true, Label = "vor dem Update – ja" };
        int length = checkpoint.Write(bytes);
        Assert.Equal(checkpoint, CheckpointBody.TryRead(bytes.AsSpan(0, length)));
        Assert.Equal(checkpoint, CheckpointBody.TryRead(bytes.AsSpan(0, length + 8)));
        Assert.Null(CheckpointBody.TryRead(bytes.AsSpan(0, length - 1)));

        bytes = new byte[GeometryBody.MaxSizeBytes];
        GeometryBody geometry = new([new DiskGeometry(new DiskId(0), "vda", 1 << 30, DiskFormat.Qcow2), new DiskGeometry(new DiskId(7), "sdb", 512, DiskFormat.Raw)]);
        length = geometry.Write(bytes);
        Assert.Equal(geometry.Disks, GeometryBody.TryRead(bytes.AsSpan(0, length))!.Disks);
        for (int cut = 0; cut < length; cut++)
        {
            Assert.Null(GeometryBody.TryRead(bytes.AsSpan(0, cut)));
        }
    }
}
