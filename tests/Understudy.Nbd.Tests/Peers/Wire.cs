using System.Buffers.Binary;

namespace Understudy.Nbd.Tests.Peers;

/// <summary>
/// Bytes of the protocol written by hand, from the specification and not from our codecs, so that a codec that is wrong in
/// both directions is seen. Text is spelled as it is, numbers are big-endian.
/// </summary>
internal static class Wire
{
    public const ulong OptionMagic = 0x49484156454F5054;
    public const ulong ReplyMagic = 0x3e889045565a9;

    public static byte[] Join(params object[] parts)
    {
        using MemoryStream all = new();
        foreach (object part in parts)
        {
            all.Write(part switch
            {
                byte[] bytes => bytes,
                string text => System.Text.Encoding.ASCII.GetBytes(text),
                ushort number => Be(2, number),
                uint number => Be(4, number),
                int number => Be(4, (uint)number),
                ulong number => Be(8, number),
                long number => Be(8, (ulong)number),
                _ => throw new ArgumentException(part.GetType().Name),
            });
        }

        return all.ToArray();
    }

    public static byte[] Greeting() => Join("NBDMAGIC", "IHAVEOPT", (ushort)3);

    public static byte[] Option(uint option, params object[] data) =>
        Join(data) is var bytes ? Join("IHAVEOPT", option, (uint)bytes.Length, bytes) : [];

    public static byte[] OptionReply(uint option, uint type, params object[] data) =>
        Join(data) is var bytes ? Join(ReplyMagic, option, type, (uint)bytes.Length, bytes) : [];

    public static byte[] Request(ushort command, ulong cookie, ulong offset, uint length, ushort flags = 0) =>
        Join(0x25609513u, flags, command, cookie, offset, length);

    public static byte[] Chunk(ushort type, ulong cookie, bool done, params object[] payload) =>
        Join(payload) is var bytes ? Join(0x668e33efu, (ushort)(done ? 1 : 0), type, cookie, (uint)bytes.Length, bytes) : [];

    public static async Task<byte[]> TakeAsync(this Stream stream, int length)
    {
        byte[] taken = new byte[length];
        await stream.ReadExactlyAsync(taken, TestContext.Current.CancellationToken);
        return taken;
    }

    public static ValueTask SendAsync(this Stream stream, params object[] parts) =>
        stream.WriteAsync(Join(parts), TestContext.Current.CancellationToken);

    public static ulong U64(this byte[] bytes, int at) => BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(at));

    public static uint U32(this byte[] bytes, int at) => BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(at));

    public static ushort U16(this byte[] bytes, int at) => BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(at));

    private static byte[] Be(int size, ulong value)
    {
        byte[] eight = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(eight, value);
        return eight[(8 - size)..];
    }
}
