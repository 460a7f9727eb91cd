using System.Reflection;
using System.Runtime.InteropServices;

namespace Understudy.Blocks.Native;

/// <summary>
/// The two shared libraries that Blocks calls, and the sentence for whoever lacks one. Debian's packages are used instead
/// of managed ports: docs/decisions/packages.md.
/// </summary>
internal static class NativeLibraries
{
    public const string XxHash = "libxxhash.so.0";
    public const string Zstd = "libzstd.so.1";
    public const string C = "libc";

    static NativeLibraries() => NativeLibrary.SetDllImportResolver(typeof(NativeLibraries).Assembly, Resolve);

    /// <summary>Touching the class installs the resolver; every native class does so before its first call.</summary>
    public static void Ready()
    {
    }

    public static UnderstudyException Missing(string library, string package) => new(
        FaultClass.NeedsOperator,
        $"The shared library {library} is not installed.",
        $"Install it: apt install {package}");

    private static nint Resolve(string library, Assembly assembly, DllImportSearchPath? searchPath)
    {
        string? package = library switch
        {
            XxHash => "libxxhash0",
            Zstd => "libzstd1",
            _ => null,
        };
        if (package is null)
        {
            return 0; // The C library: the default way finds it.
        }

        return NativeLibrary.TryLoad(library, assembly, searchPath, out nint handle)
            ? handle
            : throw Missing(library, package);
    }
}
