using System.Buffers.Binary;

namespace Understudy.Nbd.Protocol;

/// <summary>A client's option: magic u64, option u32, length u32; then the data.</summary>
internal readonly record struct OptionHeader(ulong Magic, NbdOption Option, uint Length)
{
    public const int SizeBytes = 16;

    public static OptionHeader Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64BigEndian(source),
        (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(source[8..]),
        BinaryPrimitives.ReadUInt32BigEndian(source[12..]));

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt64BigEndian(target, Magic);
        BinaryPrimitives.WriteUInt32BigEndian(target[8..], (uint)Option);
        BinaryPrimitives.WriteUInt32BigEndian(target[12..], Length);
    }
}

/// <summary>A server's answer to an option: magic u64, option u32, type u32, length u32; then the data.</summary>
internal readonly record struct OptionReplyHeader(ulong Magic, NbdOption Option, NbdOptionReply Type, uint Length)
{
    public const int SizeBytes = 20;

    public static OptionReplyHeader Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64BigEndian(source),
        (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(source[8..]),
        (NbdOptionReply)BinaryPrimitives.ReadUInt32BigEndian(source[12..]),
        BinaryPrimitives.ReadUInt32BigEndian(source[16..]));

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt64BigEndian(target, Magic);
        BinaryPrimitives.WriteUInt32BigEndian(target[8..], (uint)Option);
        BinaryPrimitives.WriteUInt32BigEndian(target[12..], (uint)Type);
        BinaryPrimitives.WriteUInt32BigEndian(target[16..], Length);
    }
}

/// <summary>A request: magic u32, flags u16, command u16, cookie u64, offset u64, length u32; then a write's data.</summary>
internal readonly record struct RequestHeader(
    uint Magic, CommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length)
{
    public const int SizeBytes = 28;

    public static RequestHeader Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt32BigEndian(source),
        (CommandFlags)BinaryPrimitives.ReadUInt16BigEndian(source[4..]),
        (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(source[6..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[16..]),
        BinaryPrimitives.ReadUInt32BigEndian(source[24..]));

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt32BigEndian(target, Magic);
        BinaryPrimitives.WriteUInt16BigEndian(target[4..], (ushort)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(target[6..], (ushort)Command);
        BinaryPrimitives.WriteUInt64BigEndian(target[8..], Cookie);
        BinaryPrimitives.WriteUInt64BigEndian(target[16..], Offset);
        BinaryPrimitives.WriteUInt32BigEndian(target[24..], Length);
    }
}

/// <summary>A simple reply: magic u32, error u32, cookie u64; then a read's data when structured replies are off.</summary>
internal readonly record struct SimpleReply(NbdError Error, ulong Cookie)
{
    public const int SizeBytes = 16;

    public static SimpleReply Read(ReadOnlySpan<byte> source) => new(
        (NbdError)BinaryPrimitives.ReadUInt32BigEndian(source[4..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt32BigEndian(target, NbdProtocol.SimpleReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(target[4..], (uint)Error);
        BinaryPrimitives.WriteUInt64BigEndian(target[8..], Cookie);
    }
}

/// <summary>A chunk of a structured reply: magic u32, flags u16, type u16, cookie u64, length u32; then the payload.</summary>
internal readonly record struct ChunkHeader(ChunkFlags Flags, ChunkType Type, ulong Cookie, uint Length)
{
    public const int SizeBytes = 20;

    public bool IsDone => (Flags & ChunkFlags.Done) != 0;

    public bool IsError => ((ushort)Type & NbdProtocol.ChunkErrorBit) != 0;

    public static ChunkHeader Read(ReadOnlySpan<byte> source) => new(
        (ChunkFlags)BinaryPrimitives.ReadUInt16BigEndian(source[4..]),
        (ChunkType)BinaryPrimitives.ReadUInt16BigEndian(source[6..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[8..]),
        BinaryPrimitives.ReadUInt32BigEndian(source[16..]));

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt32BigEndian(target, NbdProtocol.StructuredReplyMagic);
        BinaryPrimitives.WriteUInt16BigEndian(target[4..], (ushort)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(target[6..], (ushort)Type);
        BinaryPrimitives.WriteUInt64BigEndian(target[8..], Cookie);
        BinaryPrimitives.WriteUInt32BigEndian(target[16..], Length);
    }
}
