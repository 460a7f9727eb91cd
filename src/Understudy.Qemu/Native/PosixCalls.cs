using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Understudy.Qemu.Native;

internal static partial class PosixCalls
{
    private const int NoSuchProcess = 3;
    private const int ReadOnlyCloseOnExec = 0x80000;
    private const int Exclusive = 0x80;
    private const int Busy = 16;
    private const int NotMounted = 22;
    private const int NoSuchFile = 2;
    private const int DetachedMount = 2;

    // struct statx is the same everywhere, unlike struct stat.
    private const int CurrentFolder = -100;
    private const uint StatxType = 1;
    private const int StatxBytes = 256;
    private const int StatxModeOffset = 28;
    private const int TypeMask = 0xF000;
    private const int BlockDeviceType = 0x6000;

    public const int Terminate = 15;
    public const int KillNow = 9;

    /// <summary>No error when the process is gone.</summary>
    public static void Signal(int processId, int signal)
    {
        if (Kill(processId, signal) != 0 && Marshal.GetLastPInvokeError() is var error and not NoSuchProcess)
        {
            throw new Win32Exception(error);
        }
    }

    public static void GiveTo(string path, uint userId)
    {
        if (ChangeOwner(path, userId, uint.MaxValue) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>A file's content, or a folder's names, durable.</summary>
    public static void FlushPath(string path)
    {
        int descriptor = Open(path, ReadOnlyCloseOnExec);
        if (descriptor < 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        try
        {
            if (Sync(descriptor) != 0)
            {
                throw new Win32Exception(Marshal.GetLastPInvokeError());
            }
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    /// <summary>Through links; false when nothing is there.</summary>
    public static unsafe bool IsBlockDevice(string path)
    {
        byte* facts = stackalloc byte[StatxBytes];
        return Statx(CurrentFolder, path, 0, StatxType, facts) == 0 && (*(ushort*)(facts + StatxModeOffset) & TypeMask) == BlockDeviceType;
    }

    /// <summary>False when somebody has the block device for himself.</summary>
    public static bool CanOpenForItself(string device)
    {
        int descriptor = Open(device, ReadOnlyCloseOnExec | Exclusive);
        if (descriptor >= 0)
        {
            _ = Close(descriptor);
            return true;
        }

        return Marshal.GetLastPInvokeError() is var error && error != Busy ? throw new Win32Exception(error) : false;
    }

    /// <summary>At once, for whoever looks it up from now on; no error when nothing is mounted there.</summary>
    public static void Unmount(string path)
    {
        if (Unmount(path, DetachedMount) != 0 && Marshal.GetLastPInvokeError() is var error and not (NotMounted or NoSuchFile))
        {
            throw new Win32Exception(error);
        }
    }

    /// <summary>Null when there is no such user.</summary>
    public static uint? FindUser(string name)
    {
        foreach (string line in File.ReadLines("/etc/passwd"))
        {
            string[] fields = line.Split(':');
            if (fields.Length > 2 && fields[0] == name)
            {
                return uint.Parse(fields[2], CultureInfo.InvariantCulture);
            }
        }

        return null;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Statx(int folder, string path, int flags, uint mask, byte* facts);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint userId, uint groupId);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Unmount(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
