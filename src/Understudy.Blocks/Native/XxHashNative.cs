using System.Runtime.InteropServices;

namespace Understudy.Blocks.Native;

internal static partial class XxHashNative
{
    static XxHashNative() => NativeLibraries.Ready();

    public static unsafe UInt128 Hash128(ReadOnlySpan<byte> data)
    {
        fixed (byte* start = data)
        {
            Hash hash = XXH3_128bits(start, (nuint)data.Length);
            return new UInt128(hash.High, hash.Low);
        }
    }

    [LibraryImport(NativeLibraries.XxHash)]
    private static unsafe partial Hash XXH3_128bits(byte* input, nuint length);

    /// <summary>XXH128_hash_t: returned in two registers, low half first.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Hash
    {
        public readonly ulong Low;
        public readonly ulong High;
    }
}
