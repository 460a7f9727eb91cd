using Understudy.Blocks.Native;

namespace Understudy.Blocks.Compression;

/// <summary>
/// One zstd decompression context, used over and over: no allocation a block. One user at a time. The input may come from
/// anyone: the single-call form writes nowhere but into the target, whose size the caller chose before.
/// </summary>
public sealed class ZstdDecompressor : IDisposable
{
    private readonly ZstdDecompressionContext _context = ZstdNative.ZSTD_createDCtx();

    /// <summary>
    /// True when <paramref name="source"/> is valid and decompresses to exactly as many bytes as <paramref name="target"/>
    /// has. On false the target's content is undefined.
    /// </summary>
    public unsafe bool TryDecompress(ReadOnlySpan<byte> source, Span<byte> target)
    {
        ObjectDisposedException.ThrowIf(_context.IsClosed, this);
        fixed (byte* from = source)
        fixed (byte* to = target)
        {
            nuint result = ZstdNative.ZSTD_decompressDCtx(
                _context, to, (nuint)target.Length, from, (nuint)source.Length);
            return ZstdNative.ZSTD_isError(result) == 0 && result == (nuint)target.Length;
        }
    }

    public void Dispose() => _context.Dispose();
}
