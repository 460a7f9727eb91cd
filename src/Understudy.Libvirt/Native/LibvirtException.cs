using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

/// <summary>
/// A failed C call in libvirt's own words. It stays inside this project: the edge turns it into a HypervisorException,
/// and small decisions below the edge (already gone, already running) look at <see cref="Code"/>.
/// </summary>
internal sealed class LibvirtException(LibvirtErrorCode code, int domain, string message) : Exception(message)
{
    /// <summary>VIR_FROM_RPC: the failure is the connection's, not the hypervisor's.</summary>
    private const int FromRpc = 7;

    public LibvirtErrorCode Code { get; } = code;

    public bool FromConnection { get; } = domain == FromRpc || code is LibvirtErrorCode.Rpc or LibvirtErrorCode.NoConnect or LibvirtErrorCode.InvalidConnect;

    /// <summary>Must run on the thread of the failed call, before another call.</summary>
    public static unsafe LibvirtException Last()
    {
        VirError* error = LibvirtLibrary.GetLastError();
        if (error is null)
        {
            return new LibvirtException(LibvirtErrorCode.InternalError, 0, "libvirt gave no reason");
        }

        string text = Marshal.PtrToStringUTF8((nint)error->Message) ?? "libvirt gave no reason";
        return new LibvirtException((LibvirtErrorCode)error->Code, error->Domain, text);
    }
}
