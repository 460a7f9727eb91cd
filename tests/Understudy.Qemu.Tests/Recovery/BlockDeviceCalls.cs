using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>What file systems ask a device for, beside reads and writes.</summary>
internal static partial class BlockDeviceCalls
{
    private const int KeepSize = 1;
    private const int PunchHole = 2;
    private const int ZeroRange = 16;

    /// <summary>The kernel may (punch) or may not free what is below.</summary>
    public static void MakeZero(SafeFileHandle device, long offset, long length, bool punch)
    {
        if (Allocate(device, KeepSize | (punch ? PunchHole : ZeroRange), offset, length) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);
}
