using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

internal static unsafe partial class LibvirtLibrary
{
    [LibraryImport(Libvirt, EntryPoint = "virStoragePoolLookupByName", StringMarshalling = StringMarshalling.Utf8)]
    public static partial StoragePoolHandle StoragePoolLookupByName(ConnectHandle connect, string name);

    [LibraryImport(Libvirt, EntryPoint = "virStoragePoolFree")]
    public static partial int StoragePoolFree(nint pool);

    [LibraryImport(Libvirt, EntryPoint = "virStoragePoolGetXMLDesc")]
    public static partial nint StoragePoolGetXml(StoragePoolHandle pool, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virStorageVolLookupByName", StringMarshalling = StringMarshalling.Utf8)]
    public static partial StorageVolumeHandle StorageVolumeLookupByName(StoragePoolHandle pool, string name);

    [LibraryImport(Libvirt, EntryPoint = "virStorageVolFree")]
    public static partial int StorageVolumeFree(nint volume);

    [LibraryImport(Libvirt, EntryPoint = "virStorageVolGetPath")]
    public static partial nint StorageVolumeGetPath(StorageVolumeHandle volume);

    [LibraryImport(Libvirt, EntryPoint = "virStorageVolGetInfo")]
    public static partial int StorageVolumeGetInfo(StorageVolumeHandle volume, VirStorageVolInfo* info);
}
