using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Understudy.Blocks.Native;

/// <summary>The calls to the C library that .NET has no surface for. Linux, 64 bit (off_t and long are 8 bytes).</summary>
internal static partial class PosixNative
{
    public const int ReadOnly = 0;
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int CloseOnExec = 0x80000;

    /// <summary>Owner only: these files hold the content of people's disks.</summary>
    public const int OwnerOnly = 0x180;

    public const int KeepSize = 1;
    public const int PunchHole = 2;
    public const int ZeroRange = 16;

    public const int SeekData = 3;
    public const int SeekHole = 4;

    public const nuint BlockDeviceSize = 0x80081272; // BLKGETSIZE64

    [LibraryImport(NativeLibraries.C, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport(NativeLibraries.C, EntryPoint = "fsync", SetLastError = true)]
    public static partial int FSync(SafeFileHandle file);

    [LibraryImport(NativeLibraries.C, EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int FDataSync(SafeFileHandle file);

    [LibraryImport(NativeLibraries.C, EntryPoint = "fallocate", SetLastError = true)]
    public static partial int FAllocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport(NativeLibraries.C, EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(SafeFileHandle file, long offset, int whence);

    [LibraryImport(NativeLibraries.C, EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Rename(string from, string to);

    [LibraryImport(NativeLibraries.C, EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unlink(string path);

    [LibraryImport(NativeLibraries.C, EntryPoint = "ioctl", SetLastError = true)]
    public static unsafe partial int IoControl(SafeFileHandle file, nuint request, ulong* value);
}

/// <summary>Error numbers of Linux that get a treatment of their own.</summary>
internal static class Errno
{
    public const int NotPermitted = 1;
    public const int NoEntry = 2;
    public const int NoDeviceOrAddress = 6;
    public const int Access = 13;
    public const int Exists = 17;
    public const int Invalid = 22;
    public const int NoSpace = 28;
    public const int ReadOnlyFileSystem = 30;
    public const int NotSupported = 95;
    public const int QuotaExceeded = 122;
}
