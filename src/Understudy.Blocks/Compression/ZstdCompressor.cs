using Understudy.Blocks.Native;

namespace Understudy.Blocks.Compression;

/// <summary>
/// One zstd compression context, used over and over: no allocation a block. One user at a time; make one per loop.
/// Level 1 keeps ahead of a 10 Gbit/s link on one core; higher levels do not.
/// </summary>
public sealed class ZstdCompressor : IDisposable
{
    public const int Level = 1;

    private readonly ZstdCompressionContext _context = ZstdNative.ZSTD_createCCtx();

    /// <summary>
    /// False when the frame does not fit into <paramref name="target"/>: give it less room than the source has, and false
    /// means "store it raw". Then the target's content is undefined.
    /// </summary>
    public unsafe bool TryCompress(ReadOnlySpan<byte> source, Span<byte> target, out int writtenBytes)
    {
        ObjectDisposedException.ThrowIf(_context.IsClosed, this);
        fixed (byte* from = source)
        fixed (byte* to = target)
        {
            nuint result = ZstdNative.ZSTD_compressCCtx(
                _context, to, (nuint)target.Length, from, (nuint)source.Length, Level);
            bool failed = ZstdNative.ZSTD_isError(result) != 0;
            writtenBytes = failed ? 0 : (int)result;
            return !failed;
        }
    }

    public void Dispose() => _context.Dispose();
}
