namespace Understudy.Nbd.Protocol;

/// <summary>
/// The numbers of the NBD protocol ("proto.md" of the nbd project), fixed newstyle with structured replies. Everything on
/// the wire is big-endian. What of it is spoken, and why: docs/protocols/nbd.md.
/// </summary>
internal static class NbdProtocol
{
    public const ulong GreetingMagic = 0x4e42444d41474943; // "NBDMAGIC"
    public const ulong OptionMagic = 0x49484156454F5054; // "IHAVEOPT"
    public const ulong OptionReplyMagic = 0x0003e889045565a9;
    public const uint RequestMagic = 0x25609513;
    public const uint SimpleReplyMagic = 0x67446698;
    public const uint StructuredReplyMagic = 0x668e33ef;

    public const string AllocationContext = "base:allocation";

    /// <summary>Bits of base:allocation.</summary>
    public const uint StateHole = 1;
    public const uint StateZero = 2;

    /// <summary>Bit of qemu:dirty-bitmap:*.</summary>
    public const uint StateDirty = 1;

    /// <summary>Option replies with this bit are errors; so are chunk types with <see cref="ChunkErrorBit"/>.</summary>
    public const uint ReplyErrorBit = 0x8000_0000;
    public const ushort ChunkErrorBit = 0x8000;
}

[Flags]
internal enum HandshakeFlags : ushort
{
    None = 0,
    FixedNewstyle = 1,
    NoZeroes = 2,
}

internal enum NbdOption : uint
{
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
    ListMetaContext = 9,
    SetMetaContext = 10,
}

internal enum NbdOptionReply : uint
{
    Ack = 1,
    Server = 2,
    Info = 3,
    MetaContext = 4,
    ErrorUnsupported = NbdProtocol.ReplyErrorBit + 1,
    ErrorPolicy = NbdProtocol.ReplyErrorBit + 2,
    ErrorInvalid = NbdProtocol.ReplyErrorBit + 3,
    ErrorPlatform = NbdProtocol.ReplyErrorBit + 4,
    ErrorTlsRequired = NbdProtocol.ReplyErrorBit + 5,
    ErrorUnknown = NbdProtocol.ReplyErrorBit + 6,
    ErrorShutdown = NbdProtocol.ReplyErrorBit + 7,
    ErrorBlockSizeRequired = NbdProtocol.ReplyErrorBit + 8,
    ErrorTooBig = NbdProtocol.ReplyErrorBit + 9,
}

internal enum NbdInfo : ushort
{
    Export = 0,
    Name = 1,
    Description = 2,
    BlockSize = 3,
}

[Flags]
internal enum TransmissionFlags : ushort
{
    None = 0,
    HasFlags = 1 << 0,
    ReadOnly = 1 << 1,
    SendFlush = 1 << 2,
    SendFua = 1 << 3,
    Rotational = 1 << 4,
    SendTrim = 1 << 5,
    SendWriteZeroes = 1 << 6,
    SendDontFragment = 1 << 7,
    CanMultiConn = 1 << 8,
    SendResize = 1 << 9,
    SendCache = 1 << 10,
    SendFastZero = 1 << 11,
}

internal enum NbdCommand : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    Cache = 5,
    WriteZeroes = 6,
    BlockStatus = 7,
}

[Flags]
internal enum CommandFlags : ushort
{
    None = 0,
    Fua = 1 << 0,
    NoHole = 1 << 1,
    DontFragment = 1 << 2,
    RequestOne = 1 << 3,
    FastZero = 1 << 4,
}

[Flags]
internal enum ChunkFlags : ushort
{
    None = 0,
    Done = 1,
}

internal enum ChunkType : ushort
{
    None = 0,
    OffsetData = 1,
    OffsetHole = 2,
    BlockStatus = 5,
    Error = NbdProtocol.ChunkErrorBit + 1,
    ErrorOffset = NbdProtocol.ChunkErrorBit + 2,
}

/// <summary>The error numbers NBD knows; they are Linux's.</summary>
internal enum NbdError : uint
{
    None = 0,
    NotPermitted = 1,
    Io = 5,
    NoMemory = 12,
    Invalid = 22,
    NoSpace = 28,
    Overflow = 75,
    NotSupported = 95,
    Shutdown = 108,
}
