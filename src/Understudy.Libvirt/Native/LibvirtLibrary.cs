using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

/// <summary>
/// The C functions we call, as their headers (9.0) declare them; nothing else lives here. All of them block, so they run
/// on a thread of <see cref="Calls.CallQueue"/>; the error of a failed call is read on the same thread. C's unsigned long
/// is <see cref="nuint"/>. Text that libvirt allocates comes as an address and is taken by <see cref="NativeResult"/>.
/// </summary>
internal static unsafe partial class LibvirtLibrary
{
    private const string Libvirt = "libvirt.so.0";
    private const string LibvirtQemu = "libvirt-qemu.so.0";

    [LibraryImport(Libvirt, EntryPoint = "virInitialize")]
    public static partial int Initialize();

    [LibraryImport(Libvirt, EntryPoint = "virGetLastError")]
    public static partial VirError* GetLastError();

    [LibraryImport(Libvirt, EntryPoint = "virResetLastError")]
    public static partial void ResetLastError();

    [LibraryImport(Libvirt, EntryPoint = "virSetErrorFunc")]
    public static partial void SetErrorFunc(nint userData, delegate* unmanaged[Cdecl]<nint, VirError*, void> handler);

    // Connections and the host

    [LibraryImport(Libvirt, EntryPoint = "virConnectOpen", StringMarshalling = StringMarshalling.Utf8)]
    public static partial ConnectHandle ConnectOpen(string name);

    [LibraryImport(Libvirt, EntryPoint = "virConnectClose")]
    public static partial int ConnectClose(nint connect);

    [LibraryImport(Libvirt, EntryPoint = "virConnectIsAlive")]
    public static partial int ConnectIsAlive(ConnectHandle connect);

    [LibraryImport(Libvirt, EntryPoint = "virConnectSetKeepAlive")]
    public static partial int ConnectSetKeepAlive(ConnectHandle connect, int intervalSeconds, uint count);

    [LibraryImport(Libvirt, EntryPoint = "virConnectGetLibVersion")]
    public static partial int ConnectGetLibVersion(ConnectHandle connect, out nuint version);

    [LibraryImport(Libvirt, EntryPoint = "virConnectGetVersion")]
    public static partial int ConnectGetVersion(ConnectHandle connect, out nuint version);

    [LibraryImport(Libvirt, EntryPoint = "virConnectGetHostname")]
    public static partial nint ConnectGetHostname(ConnectHandle connect);

    [LibraryImport(Libvirt, EntryPoint = "virConnectGetCapabilities")]
    public static partial nint ConnectGetCapabilities(ConnectHandle connect);

    [LibraryImport(Libvirt, EntryPoint = "virConnectGetDomainCapabilities", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint ConnectGetDomainCapabilities(
        ConnectHandle connect, string? emulator, string? architecture, string? machine, string? virtType, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virConnectCompareHypervisorCPU", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ConnectCompareHypervisorCpu(
        ConnectHandle connect, string? emulator, string? architecture, string? machine, string? virtType, string cpuXml, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virNodeGetInfo")]
    public static partial int NodeGetInfo(ConnectHandle connect, VirNodeInfo* info);

    [LibraryImport(Libvirt, EntryPoint = "virNodeGetMemoryStats")]
    public static partial int NodeGetMemoryStats(ConnectHandle connect, int cell, VirNodeMemoryStat* stats, ref int count, uint flags);

    // Events

    [LibraryImport(Libvirt, EntryPoint = "virEventRegisterDefaultImpl")]
    public static partial int EventRegisterDefaultImpl();

    [LibraryImport(Libvirt, EntryPoint = "virEventRunDefaultImpl")]
    public static partial int EventRunDefaultImpl();

    [LibraryImport(Libvirt, EntryPoint = "virEventAddTimeout")]
    public static partial int EventAddTimeout(int frequencyMs, delegate* unmanaged[Cdecl]<int, nint, void> callback, nint opaque, nint free);

    [LibraryImport(Libvirt, EntryPoint = "virConnectRegisterCloseCallback")]
    public static partial int ConnectRegisterCloseCallback(
        ConnectHandle connect, delegate* unmanaged[Cdecl]<nint, int, nint, void> callback, nint opaque, nint free);

    [LibraryImport(Libvirt, EntryPoint = "virConnectUnregisterCloseCallback")]
    public static partial int ConnectUnregisterCloseCallback(
        ConnectHandle connect, delegate* unmanaged[Cdecl]<nint, int, nint, void> callback);

    /// <param name="callback">Its signature depends on <paramref name="eventId"/>; see <see cref="Connection.EventCallbacks"/>.</param>
    [LibraryImport(Libvirt, EntryPoint = "virConnectDomainEventRegisterAny")]
    public static partial int ConnectDomainEventRegisterAny(ConnectHandle connect, nint domain, int eventId, void* callback, nint opaque, nint free);

    [LibraryImport(Libvirt, EntryPoint = "virConnectDomainEventDeregisterAny")]
    public static partial int ConnectDomainEventDeregisterAny(ConnectHandle connect, int callbackId);

    // Networks

    [LibraryImport(Libvirt, EntryPoint = "virConnectListAllNetworks")]
    public static partial int ConnectListAllNetworks(ConnectHandle connect, out nint networks, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virNetworkLookupByName", StringMarshalling = StringMarshalling.Utf8)]
    public static partial NetworkHandle NetworkLookupByName(ConnectHandle connect, string name);

    [LibraryImport(Libvirt, EntryPoint = "virNetworkCreateXML", StringMarshalling = StringMarshalling.Utf8)]
    public static partial NetworkHandle NetworkCreateXml(ConnectHandle connect, string xml);

    [LibraryImport(Libvirt, EntryPoint = "virNetworkDestroy")]
    public static partial int NetworkDestroy(NetworkHandle network);

    [LibraryImport(Libvirt, EntryPoint = "virNetworkFree")]
    public static partial int NetworkFree(nint network);

    [LibraryImport(Libvirt, EntryPoint = "virNetworkIsActive")]
    public static partial int NetworkIsActive(NetworkHandle network);

    [LibraryImport(Libvirt, EntryPoint = "virNetworkGetXMLDesc")]
    public static partial nint NetworkGetXml(NetworkHandle network, uint flags);

    // Storage pools

    [LibraryImport(Libvirt, EntryPoint = "virConnectListAllStoragePools")]
    public static partial int ConnectListAllStoragePools(ConnectHandle connect, out nint pools, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virStoragePoolIsActive")]
    public static partial int StoragePoolIsActive(StoragePoolHandle pool);

}
