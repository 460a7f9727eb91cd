using System.Runtime.InteropServices;

namespace Understudy.Libvirt.Native;

internal static unsafe partial class LibvirtLibrary
{
    [LibraryImport(Libvirt, EntryPoint = "virConnectListAllDomains")]
    public static partial int ConnectListAllDomains(ConnectHandle connect, out nint domains, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainLookupByUUIDString", StringMarshalling = StringMarshalling.Utf8)]
    public static partial DomainHandle DomainLookupByUuid(ConnectHandle connect, string uuid);

    [LibraryImport(Libvirt, EntryPoint = "virDomainFree")]
    public static partial int DomainFree(nint domain);

    /// <summary>Local: no round trip. The buffer has <see cref="LibvirtConstants.UuidTextBytes"/>.</summary>
    [LibraryImport(Libvirt, EntryPoint = "virDomainGetUUIDString")]
    public static partial int DomainGetUuid(nint domain, byte* buffer);

    [LibraryImport(Libvirt, EntryPoint = "virDomainGetXMLDesc")]
    public static partial nint DomainGetXml(DomainHandle domain, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainGetState")]
    public static partial int DomainGetState(DomainHandle domain, out int state, out int reason, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainIsPersistent")]
    public static partial int DomainIsPersistent(DomainHandle domain);

    [LibraryImport(Libvirt, EntryPoint = "virDomainGetAutostart")]
    public static partial int DomainGetAutostart(DomainHandle domain, out int autostart);

    [LibraryImport(Libvirt, EntryPoint = "virDomainHasManagedSaveImage")]
    public static partial int DomainHasManagedSave(DomainHandle domain, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainSnapshotNum")]
    public static partial int DomainSnapshotNum(DomainHandle domain, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainGetBlockInfo", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainGetBlockInfo(DomainHandle domain, string disk, VirDomainBlockInfo* info, uint flags);

    // Definitions and runs

    [LibraryImport(Libvirt, EntryPoint = "virDomainDefineXMLFlags", StringMarshalling = StringMarshalling.Utf8)]
    public static partial DomainHandle DomainDefineXml(ConnectHandle connect, string xml, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainUndefineFlags")]
    public static partial int DomainUndefine(DomainHandle domain, uint flags);

    /// <summary>A transient domain, started.</summary>
    [LibraryImport(Libvirt, EntryPoint = "virDomainCreateXML", StringMarshalling = StringMarshalling.Utf8)]
    public static partial DomainHandle DomainCreateXml(ConnectHandle connect, string xml, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainCreateWithFlags")]
    public static partial int DomainCreate(DomainHandle domain, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainDestroyFlags")]
    public static partial int DomainDestroy(DomainHandle domain, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainShutdownFlags")]
    public static partial int DomainShutdown(DomainHandle domain, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainSuspend")]
    public static partial int DomainSuspend(DomainHandle domain);

    [LibraryImport(Libvirt, EntryPoint = "virDomainResume")]
    public static partial int DomainResume(DomainHandle domain);

    [LibraryImport(Libvirt, EntryPoint = "virDomainAttachDeviceFlags", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainAttachDevice(DomainHandle domain, string xml, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainDetachDeviceAlias", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainDetachAlias(DomainHandle domain, string alias, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainUpdateDeviceFlags", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainUpdateDevice(DomainHandle domain, string xml, uint flags);

    [LibraryImport(LibvirtQemu, EntryPoint = "virDomainQemuMonitorCommand", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainQemuMonitorCommand(DomainHandle domain, string command, out nint result, uint flags);

    // Checkpoints and backup

    [LibraryImport(Libvirt, EntryPoint = "virDomainListAllCheckpoints")]
    public static partial int DomainListAllCheckpoints(DomainHandle domain, out nint checkpoints, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainCheckpointLookupByName", StringMarshalling = StringMarshalling.Utf8)]
    public static partial CheckpointHandle CheckpointLookupByName(DomainHandle domain, string name, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainCheckpointCreateXML", StringMarshalling = StringMarshalling.Utf8)]
    public static partial CheckpointHandle CheckpointCreateXml(DomainHandle domain, string xml, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainCheckpointDelete")]
    public static partial int CheckpointDelete(CheckpointHandle checkpoint, uint flags);

    /// <summary>Owned by the checkpoint: not to be freed.</summary>
    [LibraryImport(Libvirt, EntryPoint = "virDomainCheckpointGetName")]
    public static partial nint CheckpointGetName(CheckpointHandle checkpoint);

    [LibraryImport(Libvirt, EntryPoint = "virDomainCheckpointFree")]
    public static partial int CheckpointFree(nint checkpoint);

    [LibraryImport(Libvirt, EntryPoint = "virDomainBackupBegin", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainBackupBegin(DomainHandle domain, string backupXml, string? checkpointXml, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainBackupGetXMLDesc")]
    public static partial nint DomainBackupGetXml(DomainHandle domain, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainAbortJob")]
    public static partial int DomainAbortJob(DomainHandle domain);

    [LibraryImport(Libvirt, EntryPoint = "virDomainGetJobStats")]
    public static partial int DomainGetJobStats(DomainHandle domain, out int type, out nint parameters, out int count, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virTypedParamsFree")]
    public static partial void TypedParamsFree(nint parameters, int count);

    // Block jobs

    [LibraryImport(Libvirt, EntryPoint = "virDomainBlockCopy", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainBlockCopy(DomainHandle domain, string disk, string destinationXml, nint parameters, int count, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainBlockCommit", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainBlockCommit(DomainHandle domain, string disk, string? basePath, string? topPath, nuint bandwidth, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainGetBlockJobInfo", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainGetBlockJobInfo(DomainHandle domain, string disk, VirDomainBlockJobInfo* info, uint flags);

    [LibraryImport(Libvirt, EntryPoint = "virDomainBlockJobAbort", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DomainBlockJobAbort(DomainHandle domain, string disk, uint flags);
}
