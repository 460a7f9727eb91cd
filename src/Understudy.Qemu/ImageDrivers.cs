using Understudy.Qemu.Native;

namespace Understudy.Qemu;

/// <summary>What QEMU has to be told about a path: it opens files and block devices with different drivers, and takes neither for
/// the other.</summary>
internal static class ImageDrivers
{
    /// <summary>By what stands there, through links: a logical volume is often named by one. What is not there is a file to be said
    /// missing.</summary>
    public static string Of(string path) => Of(PosixCalls.IsBlockDevice(path));

    public static string Of(bool isDevice) => isDevice ? "host_device" : "file";
}
