using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;
using Understudy.Blocks;
using Understudy.Blocks.Identity;

namespace Understudy.Replication.Wire;

/// <summary>
/// The bytes of control frames (docs/protocols/replication.md, section 3): a header of 20 bytes that can be trusted by
/// its own checksum before anything is made of the length in it, then the body. All numbers little-endian.
/// </summary>
public static partial class ControlFrameCodec
{
    /// <summary>"UsCf" as bytes; a record begins with another magic, so the first four bytes tell them apart.</summary>
    public const uint Magic = 0x66437355;

    public const int HeaderBytes = 20;

    public const int MaxFrameBytes = HeaderBytes + ProtocolLimits.ControlBodyBytes;

    private const byte FormatVersion = 1;

    /// <summary>The year 9999, where <see cref="DateTimeOffset"/> ends.</summary>
    private const long MaxUnixMilliseconds = 253_402_300_799_999;

    private const int LineBytes = 20;
    private const int PointBytes = LineBytes + 8;
    private const int HelloBytes = 16 + 16 + LineBytes + 4;
    private const int CallBytes = 16 + 16;
    private const int WelcomeBytes = LineBytes + 8 + PointBytes + 4 + 4 + 4;
    private const int RefuseFixedBytes = 2 + 1 + 1 + 8 + LineBytes + 8 + 16 + PointBytes;

    public static byte[] Encode(ControlFrame frame)
    {
        byte[] buffer = new byte[MaxFrameBytes];
        int length = HeaderBytes + EncodeBody(frame, buffer.AsSpan(HeaderBytes));
        Span<byte> bytes = buffer.AsSpan(0, length);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        bytes[4] = FormatVersion;
        bytes[5] = (byte)TypeOf(frame);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], (uint)(length - HeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[12..], Crc32C.Compute(bytes[HeaderBytes..]));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[16..], Crc32C.Compute(bytes[..16]));
        return bytes.ToArray();
    }

    /// <summary>Checks a header of <see cref="HeaderBytes"/>; the error is null when the length can be trusted.</summary>
    public static string? CheckHeader(ReadOnlySpan<byte> header, out int bodyBytes)
    {
        bodyBytes = 0;
        if (BinaryPrimitives.ReadUInt32LittleEndian(header[16..]) != Crc32C.Compute(header[..16]))
        {
            return "a control frame's header has a wrong checksum";
        }

        if (header[4] != FormatVersion || BinaryPrimitives.ReadUInt16LittleEndian(header[6..]) != 0)
        {
            return $"a control frame has the unknown format {header[4]}";
        }

        uint claimed = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        if (claimed > ProtocolLimits.ControlBodyBytes)
        {
            return $"a control frame claims {claimed} bytes, more than the {ProtocolLimits.ControlBodyBytes} allowed";
        }

        bodyBytes = (int)claimed;
        return null;
    }

    /// <summary>Reads a whole frame whose header passed <see cref="CheckHeader"/>.</summary>
    public static ControlFrame? Decode(ReadOnlySpan<byte> frame, out string? error)
    {
        ReadOnlySpan<byte> body = frame[HeaderBytes..];
        if (BinaryPrimitives.ReadUInt32LittleEndian(frame[12..]) != Crc32C.Compute(body))
        {
            error = "a control frame's body has a wrong checksum";
            return null;
        }

        ControlFrame? decoded = DecodeBody((ControlType)frame[5], body);
        error = decoded is null ? $"a control frame of type {frame[5]} with {body.Length} bytes is not understood" : null;
        return decoded;
    }

    private static ControlType TypeOf(ControlFrame frame) => frame switch
    {
        ControlFrame.Hello => ControlType.Hello,
        ControlFrame.Welcome => ControlType.Welcome,
        ControlFrame.Refuse => ControlType.Refuse,
        ControlFrame.Ping => ControlType.Ping,
        ControlFrame.Pong => ControlType.Pong,
        ControlFrame.EndOfBatch => ControlType.EndOfBatch,
        ControlFrame.Ack => ControlType.Ack,
        ControlFrame.AskSums => ControlType.AskSums,
        ControlFrame.Sums => ControlType.Sums,
        ControlFrame.Call => ControlType.Call,
        ControlFrame.Answer => ControlType.Answer,
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static int EncodeBody(ControlFrame frame, Span<byte> body)
    {
        switch (frame)
        {
            case ControlFrame.Hello hello:
                WriteGuid(body, hello.Replica.Value);
                WriteGuid(body[16..], hello.Vm.Value);
                WriteLine(body[32..], hello.Line);
                BinaryPrimitives.WriteUInt32LittleEndian(body[52..], (uint)hello.Features);
                return HelloBytes;
            case ControlFrame.Welcome welcome:
                WriteLine(body, welcome.Line);
                BinaryPrimitives.WriteUInt64LittleEndian(body[20..], welcome.FlushedSequence);
                WritePoint(body[28..], welcome.LastPoint);
                BinaryPrimitives.WriteUInt32LittleEndian(body[56..], welcome.WindowBytes);
                BinaryPrimitives.WriteUInt32LittleEndian(body[60..], checked((uint)welcome.SilenceLimit.TotalMilliseconds));
                BinaryPrimitives.WriteUInt32LittleEndian(body[64..], (uint)welcome.Features);
                return WelcomeBytes;
            case ControlFrame.Refuse refuse:
                return EncodeRefusal(refuse.Refusal, body);
            case ControlFrame.Ping ping:
                return WriteNumber(body, ping.Nonce);
            case ControlFrame.Pong pong:
                return WriteNumber(body, pong.Nonce);
            case ControlFrame.EndOfBatch end:
                return WriteNumber(body, end.LastSequence);
            case ControlFrame.Ack ack:
                return WriteNumber(body, ack.FlushedSequence);
            case ControlFrame.AskSums ask:
                return EncodeAskSums(ask.Range, body);
            case ControlFrame.Sums sums:
                return EncodeSums(sums, body);
            case ControlFrame.Call call:
                WriteGuid(body, call.Replica.Value);
                WriteGuid(body[16..], call.Vm.Value);
                return CallBytes;
            case ControlFrame.Answer:
                return 0;
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static ControlFrame? DecodeBody(ControlType type, ReadOnlySpan<byte> body) => type switch
    {
        ControlType.Hello when body.Length == HelloBytes => new ControlFrame.Hello(
            new ReplicaId(ReadGuid(body)),
            new VmId(ReadGuid(body[16..])),
            ReadLine(body[32..]),
            (ProtocolFeatures)BinaryPrimitives.ReadUInt32LittleEndian(body[52..])),
        ControlType.Welcome when body.Length == WelcomeBytes => new ControlFrame.Welcome(
            ReadLine(body),
            BinaryPrimitives.ReadUInt64LittleEndian(body[20..]),
            ReadPoint(body[28..]),
            BinaryPrimitives.ReadUInt32LittleEndian(body[56..]),
            TimeSpan.FromMilliseconds(BinaryPrimitives.ReadUInt32LittleEndian(body[60..])),
            (ProtocolFeatures)BinaryPrimitives.ReadUInt32LittleEndian(body[64..])),
        ControlType.Refuse => DecodeRefusal(body),
        ControlType.Ping when body.Length == 8 => new ControlFrame.Ping(BinaryPrimitives.ReadUInt64LittleEndian(body)),
        ControlType.Pong when body.Length == 8 => new ControlFrame.Pong(BinaryPrimitives.ReadUInt64LittleEndian(body)),
        ControlType.EndOfBatch when body.Length == 8 => new ControlFrame.EndOfBatch(BinaryPrimitives.ReadUInt64LittleEndian(body)),
        ControlType.Ack when body.Length == 8 => new ControlFrame.Ack(BinaryPrimitives.ReadUInt64LittleEndian(body)),
        ControlType.AskSums => DecodeAskSums(body),
        ControlType.Sums => DecodeSums(body),
        ControlType.Call when body.Length == CallBytes => new ControlFrame.Call(new ReplicaId(ReadGuid(body)), new VmId(ReadGuid(body[16..]))),
        ControlType.Answer when body.IsEmpty => ControlFrame.Answer.Value,
        _ => null,
    };

    private static int EncodeRefusal(Refusal refusal, Span<byte> body)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(body, (ushort)refusal.Code);
        body[2] = (byte)refusal.Class;
        body[3] = 0;
        BinaryPrimitives.WriteUInt64LittleEndian(body[4..], refusal.ExpectedSequence);
        WriteLine(body[12..], refusal.CurrentLine);
        BinaryPrimitives.WriteInt64LittleEndian(body[32..], refusal.MintedAt?.ToUnixTimeMilliseconds() ?? 0);
        WriteGuid(body[40..], refusal.Offer?.Transfer.Value ?? Guid.Empty);
        WritePoint(body[56..], refusal.Offer?.Parent);
        int at = RefuseFixedBytes;
        at += WriteText(body[at..], refusal.What);
        at += WriteText(body[at..], refusal.NextStep);
        return at;
    }

    private static ControlFrame.Refuse? DecodeRefusal(ReadOnlySpan<byte> body)
    {
        if (body.Length < RefuseFixedBytes
            || body[2] > (byte)FaultClass.Fatal
            || BinaryPrimitives.ReadInt64LittleEndian(body[32..]) is var mintedAt && mintedAt is < 0 or > MaxUnixMilliseconds
            || ReadText(body[RefuseFixedBytes..], out string? what) is not (> 0 and var whatBytes)
            || ReadText(body[(RefuseFixedBytes + whatBytes)..], out string? next) is not (> 0 and var nextBytes)
            || RefuseFixedBytes + whatBytes + nextBytes != body.Length)
        {
            return null;
        }

        return new ControlFrame.Refuse(new Refusal(
            (RefusalCode)BinaryPrimitives.ReadUInt16LittleEndian(body),
            (FaultClass)body[2],
            what ?? "",
            next ?? "",
            BinaryPrimitives.ReadUInt64LittleEndian(body[4..]),
            ReadLine(body[12..]),
            mintedAt == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(mintedAt),
            ReadGuid(body[40..]) is var transfer && transfer != Guid.Empty && ReadPoint(body[56..]) is { } parent
                ? new LineOffer(new TransferId(transfer), parent)
                : null));
    }

    private static int WriteNumber(Span<byte> to, ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, value);
        return 8;
    }

    private static void WriteGuid(Span<byte> to, Guid value) => value.TryWriteBytes(to, bigEndian: true, out _);

    private static Guid ReadGuid(ReadOnlySpan<byte> from) => new(from[..16], bigEndian: true);

    private static void WriteLine(Span<byte> to, LineId line)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to, line.Counter);
        BinaryPrimitives.WriteUInt128LittleEndian(to[4..], line.Random);
    }

    private static LineId ReadLine(ReadOnlySpan<byte> from) =>
        new(BinaryPrimitives.ReadUInt32LittleEndian(from), BinaryPrimitives.ReadUInt128LittleEndian(from[4..]));

    private static void WritePoint(Span<byte> to, RecoveryPointId? point)
    {
        WriteLine(to, point?.Line ?? LineId.None);
        BinaryPrimitives.WriteUInt64LittleEndian(to[LineBytes..], point?.Sequence ?? 0);
    }

    private static RecoveryPointId? ReadPoint(ReadOnlySpan<byte> from) =>
        BinaryPrimitives.ReadUInt64LittleEndian(from[LineBytes..]) is > 0 and var sequence
            ? new RecoveryPointId(ReadLine(from), sequence)
            : null;

    /// <summary>Length and UTF-8; a longer text is cut at the last whole character that fits.</summary>
    private static int WriteText(Span<byte> to, string text)
    {
        Utf8.FromUtf16(text, to.Slice(2, ProtocolLimits.TextBytes), out _, out int written);
        BinaryPrimitives.WriteUInt16LittleEndian(to, (ushort)written);
        return 2 + written;
    }

    /// <summary>Returns the bytes taken, 0 when they are no text.</summary>
    private static int ReadText(ReadOnlySpan<byte> from, out string? text)
    {
        text = null;
        if (from.Length < 2
            || BinaryPrimitives.ReadUInt16LittleEndian(from) is var length && (length > ProtocolLimits.TextBytes || from.Length < 2 + length)
            || !Utf8.IsValid(from.Slice(2, length)))
        {
            return 0;
        }

        text = Encoding.UTF8.GetString(from.Slice(2, length));
        return 2 + length;
    }
}
