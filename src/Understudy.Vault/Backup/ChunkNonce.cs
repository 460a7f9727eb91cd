using System.Buffers.Binary;

namespace Understudy.Vault.Backup;

/// <summary>
/// The nonce of a chunk: three zero bytes, 1 for the last chunk and 0 for the others, the chunk's number (64 bits, big-endian).
/// So chunks cannot change places, and a copy that was cut off does not end with a last one.
/// </summary>
internal static class ChunkNonce
{
    public const int Bytes = 12;

    public static void Write(Span<byte> nonce, ulong number, bool isLast)
    {
        nonce.Clear();
        nonce[3] = isLast ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], number);
    }
}
