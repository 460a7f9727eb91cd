using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

/// <summary>A libvirt object with a reference count of its own; releasing drops our one reference.</summary>
internal abstract class LibvirtHandle : SafeHandle
{
    protected LibvirtHandle()
        : base(0, ownsHandle: true)
    {
    }

    public override bool IsInvalid => handle == 0;
}

/// <summary>virConnectPtr. Domains, checkpoints and networks hold their own reference to it inside libvirt.</summary>
internal sealed class ConnectHandle : LibvirtHandle
{
    public ConnectHandle()
    {
    }

    protected override bool ReleaseHandle() => LibvirtLibrary.ConnectClose(handle) >= 0;
}

/// <summary>virDomainPtr: names a domain, it is not a lock on it; the domain may vanish at any time.</summary>
internal sealed class DomainHandle : LibvirtHandle
{
    public DomainHandle()
    {
    }

    internal DomainHandle(nint value) => SetHandle(value);

    protected override bool ReleaseHandle() => LibvirtLibrary.DomainFree(handle) >= 0;
}

/// <summary>virDomainCheckpointPtr.</summary>
internal sealed class CheckpointHandle : LibvirtHandle
{
    public CheckpointHandle()
    {
    }

    internal CheckpointHandle(nint value) => SetHandle(value);

    protected override bool ReleaseHandle() => LibvirtLibrary.CheckpointFree(handle) >= 0;
}

/// <summary>virStoragePoolPtr.</summary>
internal sealed class StoragePoolHandle : LibvirtHandle
{
    internal StoragePoolHandle(nint value) => SetHandle(value);

    public StoragePoolHandle()
    {
    }

    protected override bool ReleaseHandle() => LibvirtLibrary.StoragePoolFree(handle) >= 0;
}

/// <summary>virStorageVolPtr.</summary>
internal sealed class StorageVolumeHandle : LibvirtHandle
{
    public StorageVolumeHandle()
    {
    }

    protected override bool ReleaseHandle() => LibvirtLibrary.StorageVolumeFree(handle) >= 0;
}

/// <summary>virNetworkPtr.</summary>
internal sealed class NetworkHandle : LibvirtHandle
{
    public NetworkHandle()
    {
    }

    internal NetworkHandle(nint value) => SetHandle(value);

    protected override bool ReleaseHandle() => LibvirtLibrary.NetworkFree(handle) >= 0;
}
