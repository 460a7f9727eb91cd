using Understudy.Libvirt.Native;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Calls;

/// <summary>
/// The one place that turns libvirt's errors into ours. Codes decide where libvirt gives a useful one; where it answers
/// "operation invalid" or "internal error" for everything, the words do (libvirt's messages here are untranslated:
/// the agent runs in the C locale). Its own text is always part of the message.
/// </summary>
internal static class Faults
{
    public static HypervisorException From(LibvirtException error, string what)
    {
        (HypervisorFault fault, string? remedy) = Classify(error);
        return new HypervisorException(fault, $"could not {what}: {error.Message}", remedy, error);
    }

    public static bool IsTrackingLost(LibvirtException error) => Classify(error).Fault == HypervisorFault.TrackingLost;

    public static bool IsLostBackup(string text) => Says(text, "backup job data missing");

    private static (HypervisorFault Fault, string? Remedy) Classify(LibvirtException error)
    {
        if (error.FromConnection)
        {
            return (HypervisorFault.Unreachable, "Is libvirtd running and its socket readable? Try: virsh -c URI list.");
        }

        return error.Code switch
        {
            LibvirtErrorCode.NoDomain => (HypervisorFault.NoSuchVm, "List the VMs of the host: virsh list --all."),
            LibvirtErrorCode.NoDomainCheckpoint or LibvirtErrorCode.CheckpointInconsistent => TrackingLost,
            LibvirtErrorCode.OperationTimeout or LibvirtErrorCode.ResourceBusy or LibvirtErrorCode.BlockCopyActive => Busy,
            LibvirtErrorCode.AgentUnresponsive => (HypervisorFault.Busy, "The guest agent does not answer; it is tried again."),
            LibvirtErrorCode.AccessDenied or LibvirtErrorCode.OperationDenied or LibvirtErrorCode.AuthenticationUnavailable =>
                (HypervisorFault.Refused, "The agent needs full rights on libvirt; see its unit's user and libvirtd.conf."),
            LibvirtErrorCode.HookScriptFailed => (HypervisorFault.Refused, "A hook in /etc/libvirt/hooks refused it; its words are above."),
            _ => ClassifyWords(error.Message),
        };
    }

    private static (HypervisorFault Fault, string? Remedy) TrackingLost =>
        (HypervisorFault.TrackingLost, "Nothing to do: the disks are read in full once, and tracking begins anew.");

    private static (HypervisorFault Fault, string? Remedy) Busy =>
        (HypervisorFault.Busy, "Another operation holds the VM (backup, block job, migration, snapshot): virsh domjobinfo VM, virsh domblkinfo VM. It is tried again.");

    private static (HypervisorFault Fault, string? Remedy) ClassifyWords(string text)
    {
        if (Says(text, "missing or broken bitmap") || Says(text, "checkpoint inconsistent") || Says(text, "is inconsistent")
            || (Says(text, "bitmap") && Says(text, "not found")) || Says(text, "unable to find checkpoint"))
        {
            return TrackingLost;
        }

        if (Says(text, "domain is not running") || Says(text, "inactive domain") || Says(text, "read from monitor") || Says(text, "from qemu monitor"))
        {
            return (HypervisorFault.NotRunning, "Start the VM.");
        }

        if (Says(text, "has a blockjob assigned") || Says(text, "active block job") || Says(text, "another backup") || Says(text, "domain has active")
            || Says(text, "job already") || Says(text, "already running a job") || Says(text, "not ready for pivot") || Says(text, "cannot acquire state change lock"))
        {
            return Busy;
        }

        if (IsLostBackup(text))
        {
            return (HypervisorFault.Refused,
                "Libvirt was killed while it began a backup of this VM, and waits for the end of it for ever. Shut the VM down and start it, "
                + "or mend it while it runs (docs/protocols/libvirt.md, pitfalls); replication goes on by itself then.");
        }

        return Says(text, "unsupported for storage type")
            ? (HypervisorFault.Refused, "Only qcow2 disks can be tracked; convert the disk: qemu-img convert -O qcow2.")
            : (HypervisorFault.Refused, null);
    }

    private static bool Says(string text, string words) => text.Contains(words, StringComparison.OrdinalIgnoreCase);
}
