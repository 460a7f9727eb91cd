using System.Text;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Replication.Tests.Transfer;
using Understudy.Replication.Wire;
using Understudy.Testing;

namespace Understudy.Replication.Tests.Wire;

public sealed class FrameParserTests
{
    private static readonly byte[] Greeting = new Banner(1, "0.1.0").Encode();

    [Fact]
    public void Frames_come_out_the_same_however_the_bytes_are_cut()
    {
        int seed = Seed.Next();
        Random random = new(seed);
        byte[][] records = TransferWorld.MakeRecords(TransferWorld.Identity.Line, 50, seed);
        List<byte[]> frames = [Greeting, ControlFrameCodec.Encode(new ControlFrame.Ping(9)), LargestRecord()];
        foreach (byte[] record in records)
        {
            frames.Add(record);
            frames.Add(ControlFrameCodec.Encode(new ControlFrame.EndOfBatch((ulong)frames.Count)));
        }

        byte[] stream = [.. frames.SelectMany(f => f)];
        for (int run = 0; run < 20; run++)
        {
            int largest = random.Next(3) switch { 0 => 1 + random.Next(40), 1 => 5000, _ => stream.Length };
            Assert.Equal(frames.Select(Convert.ToHexString), Parse(stream, () => 1 + random.Next(largest)));
        }
    }

    [Fact]
    public void Garbage_is_refused_without_an_exception_and_without_memory()
    {
        int seed = Seed.Next();
        Random random = new(seed);
        for (int run = 0; run < 300; run++)
        {
            FrameParser parser = new() { AcceptRecords = random.Next(2) == 0 };
            byte[] garbage = new byte[64 * 1024];
            random.NextBytes(garbage);
            byte[] start = random.Next(3) == 0 ? [] : random.Next(2) == 0 ? Greeting : [.. Greeting, .. "UsCf"u8];
            Assert.IsType<ParseResult.Broken>(Feed(parser, [.. start, .. garbage]));
            Assert.Equal(FrameParser.SmallBuffer, parser.BufferBytes);
        }
    }

    [Fact]
    public void First_line_that_never_ends_is_refused_at_the_limit()
    {
        FrameParser parser = new();
        string start = "UNDERSTUDY 1 ".PadRight(ProtocolLimits.BannerBytes - 1, '9');
        Assert.IsType<ParseResult.NeedMore>(Feed(parser, Encoding.ASCII.GetBytes(start)));
        Assert.IsType<ParseResult.Broken>(Feed(parser, "9"u8.ToArray()));
    }

    [Theory]
    [InlineData("S")]
    [InlineData("UNDERSTUDYING")]
    [InlineData("UNDERSTUDY 1 \u0001")]
    public void First_line_that_cannot_become_a_banner_is_refused_before_it_ends(string start) =>
        Assert.IsType<ParseResult.Broken>(Feed(new FrameParser(), Encoding.ASCII.GetBytes(start)));

    [Fact]
    public void Record_before_its_time_is_refused()
    {
        FrameParser parser = new();
        ParseResult.Broken broken = Assert.IsType<ParseResult.Broken>(
            Feed(parser, [.. Greeting, .. TransferWorld.MakeRecords(TransferWorld.Identity.Line, 1, 1)[0]]));
        Assert.Equal(RefusalCode.Malformed, broken.Code);
    }

    [Fact]
    public void Buffer_grows_with_what_has_come_not_with_what_is_claimed()
    {
        FrameParser parser = new() { AcceptRecords = true };
        byte[] largest = LargestRecord();
        Assert.IsType<ParseResult.NeedMore>(Feed(parser, [.. Greeting, .. largest.AsSpan(0, RecordHeader.SizeBytes)]));
        Assert.Equal(FrameParser.SmallBuffer, parser.BufferBytes);

        ParseResult.Record whole = Assert.IsType<ParseResult.Record>(Feed(parser, largest[RecordHeader.SizeBytes..]));
        Assert.Equal(largest, whole.Bytes.ToArray());
        Assert.True(parser.BufferBytes <= RecordLimits.MaxRecordBytes + FrameParser.SmallBuffer);
    }

    [Fact]
    public void Damaged_record_header_is_called_corrupt()
    {
        byte[] record = TransferWorld.MakeRecords(TransferWorld.Identity.Line, 1, 1)[0];
        record[33] ^= 1;
        ParseResult.Broken broken = Assert.IsType<ParseResult.Broken>(
            Feed(new FrameParser { AcceptRecords = true }, [.. Greeting, .. record]));
        Assert.Equal(RefusalCode.Corrupt, broken.Code);
    }

    private static byte[] LargestRecord()
    {
        byte[] noise = new byte[RecordLimits.MaxDataBytes];
        new Random(5).NextBytes(noise);
        byte[] record = new byte[RecordLimits.MaxRecordBytes];
        using RecordCodec codec = new();
        int length = codec.EncodeData(new LineId(1, 7), 1, new DiskId(0), 0, noise, record);
        Assert.Equal(RecordLimits.MaxRecordBytes, length);
        return record;
    }

    /// <summary>Feeds everything, dropping whole frames; the last result that is not one of those.</summary>
    private static ParseResult Feed(FrameParser parser, byte[] bytes)
    {
        int at = 0;
        while (true)
        {
            ParseResult result = parser.Next();
            if (result is ParseResult.Broken or ParseResult.Record)
            {
                return result;
            }

            if (result is not ParseResult.NeedMore)
            {
                continue;
            }

            if (at == bytes.Length)
            {
                return result;
            }

            Memory<byte> free = parser.GetFreeSpace();
            int count = Math.Min(free.Length, bytes.Length - at);
            bytes.AsMemory(at, count).CopyTo(free);
            parser.Advance(count);
            at += count;
        }
    }

    private static List<string> Parse(byte[] stream, Func<int> chunk)
    {
        FrameParser parser = new() { AcceptRecords = true };
        List<string> frames = [];
        int at = 0;
        while (true)
        {
            switch (parser.Next())
            {
                case ParseResult.Greeting greeting:
                    frames.Add(Convert.ToHexString(greeting.Banner.Encode()));
                    break;
                case ParseResult.Control control:
                    frames.Add(Convert.ToHexString(ControlFrameCodec.Encode(control.Frame)));
                    break;
                case ParseResult.Record record:
                    frames.Add(Convert.ToHexString(record.Bytes.Span));
                    break;
                case ParseResult.NeedMore when at == stream.Length:
                    return frames;
                case ParseResult.NeedMore:
                    Memory<byte> free = parser.GetFreeSpace();
                    int count = Math.Min(Math.Min(free.Length, chunk()), stream.Length - at);
                    stream.AsMemory(at, count).CopyTo(free);
                    parser.Advance(count);
                    at += count;
                    break;
                case var other:
                    Assert.Fail($"{other} at byte {at}");
                    break;
            }
        }
    }
}
