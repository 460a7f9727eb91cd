using System.Runtime.InteropServices;

namespace Understudy.Blocks.Native;

/// <summary>The simple, single-call part of zstd.h; stable since 1.3. Context sizes are zstd's own business.</summary>
internal static partial class ZstdNative
{
    static ZstdNative() => NativeLibraries.Ready();

    [LibraryImport(NativeLibraries.Zstd)]
    public static partial ZstdCompressionContext ZSTD_createCCtx();

    [LibraryImport(NativeLibraries.Zstd)]
    public static partial nuint ZSTD_freeCCtx(nint context);

    [LibraryImport(NativeLibraries.Zstd)]
    public static partial ZstdDecompressionContext ZSTD_createDCtx();

    [LibraryImport(NativeLibraries.Zstd)]
    public static partial nuint ZSTD_freeDCtx(nint context);

    [LibraryImport(NativeLibraries.Zstd)]
    public static unsafe partial nuint ZSTD_compressCCtx(
        ZstdCompressionContext context, byte* target, nuint capacity, byte* source, nuint length, int level);

    [LibraryImport(NativeLibraries.Zstd)]
    public static unsafe partial nuint ZSTD_decompressDCtx(
        ZstdDecompressionContext context, byte* target, nuint capacity, byte* source, nuint length);

    [LibraryImport(NativeLibraries.Zstd)]
    public static partial uint ZSTD_isError(nuint code);
}

internal sealed class ZstdCompressionContext() : SafeHandle(0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => ZstdNative.ZSTD_freeCCtx(handle) == 0;
}

internal sealed class ZstdDecompressionContext() : SafeHandle(0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle() => ZstdNative.ZSTD_freeDCtx(handle) == 0;
}
