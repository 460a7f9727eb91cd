using System.Text.Json;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Native;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt;

public sealed partial class LibvirtHypervisor
{
    /// <summary>Nothing of the VM stays behind that would be in the way of defining it again. Disks are never touched.</summary>
    private const uint UndefineAll = LibvirtConstants.UndefineManagedSave | LibvirtConstants.UndefineSnapshotsMetadata
        | LibvirtConstants.UndefineNvram | LibvirtConstants.UndefineCheckpointsMetadata | LibvirtConstants.UndefineTpm;

    public async ValueTask<VmRunState> GetRunStateAsync(VmId vm, CancellationToken cancellationToken)
    {
        try
        {
            return await _connection.OnDomainAsync(vm, Lane.Free, "read the state", _settings.QueryLimit, ReadRunState, cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault == HypervisorFault.NoSuchVm)
        {
            return VmRunState.Absent;
        }
    }

    public async ValueTask<VmId> DefineAsync(string domainXml, CancellationToken cancellationToken) =>
        await _connection.CallAsync(
            "define the VM",
            _settings.JobLimit,
            connect =>
            {
                using DomainHandle domain = NativeResult.Check(LibvirtLibrary.DomainDefineXml(connect, domainXml, 0));
                return DomainIds.Read(domain);
            },
            cancellationToken);

    public async ValueTask UndefineAsync(VmId vm, CancellationToken cancellationToken)
    {
        try
        {
            await ChangeAsync(vm, "undefine", domain => LibvirtLibrary.DomainUndefine(domain, UndefineAll), cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault == HypervisorFault.NoSuchVm)
        {
        }
    }

    public async ValueTask StartAsync(VmId vm, CancellationToken cancellationToken) =>
        await _connection.OnDomainAsync(
            vm, Lane.Job, "start", _settings.StartLimit, domain => NativeResult.Check(LibvirtLibrary.DomainCreate(domain, 0)), cancellationToken);

    /// <summary>No error when it runs already.</summary>
    public async ValueTask ResumeAsync(VmId vm, CancellationToken cancellationToken) =>
        await ChangeAsync(vm, "resume", ResumeUnlessRunning, cancellationToken);

    public async ValueTask SuspendAsync(VmId vm, CancellationToken cancellationToken) =>
        await ChangeAsync(vm, "suspend", LibvirtLibrary.DomainSuspend, cancellationToken);

    /// <summary>Flags 0: libvirt asks the guest agent when it is connected, and presses the power button otherwise.</summary>
    public async ValueTask RequestShutdownAsync(VmId vm, CancellationToken cancellationToken) =>
        await ChangeAsync(vm, "request the shutdown", domain => LibvirtLibrary.DomainShutdown(domain, 0), cancellationToken);

    /// <summary>Only the state of the run is changed: the next start has its cables plugged in as defined.</summary>
    public async ValueTask SetLinksAsync(VmId vm, bool up, CancellationToken cancellationToken) =>
        await ChangeAsync(
            vm,
            up ? "plug the cables in" : "unplug the cables",
            domain =>
            {
                foreach (string nic in DomainXml.LinksTurned(NativeResult.Take(LibvirtLibrary.DomainGetXml(domain, 0)), up))
                {
                    NativeResult.Check(LibvirtLibrary.DomainUpdateDevice(domain, nic, LibvirtConstants.AffectLive));
                }

                return 0;
            },
            cancellationToken);

    public async ValueTask AttachDiskAsync(VmId vm, string diskXml, CancellationToken cancellationToken) =>
        await ChangeAsync(vm, "give a disk", domain => LibvirtLibrary.DomainAttachDevice(domain, diskXml, LibvirtConstants.AffectLive), cancellationToken);

    public async ValueTask RequestDetachAsync(VmId vm, string alias, CancellationToken cancellationToken)
    {
        try
        {
            await ChangeAsync(vm, "take a disk back", domain => LibvirtLibrary.DomainDetachAlias(domain, alias, LibvirtConstants.AffectLive), cancellationToken);
        }
        catch (HypervisorException refused) when (refused.Fault is not (HypervisorFault.Unreachable or HypervisorFault.TimedOut))
        {
            // Gone already, or its guest was asked before and has not answered: the live definition says which.
        }
    }

    /// <summary>Past all lanes: it is what ends a VM whose other calls hang.</summary>
    public async ValueTask DestroyAsync(VmId vm, CancellationToken cancellationToken)
    {
        try
        {
            await _connection.OnDomainAsync(
                vm, Lane.Free, "end the run", _settings.JobLimit, domain => NativeResult.Check(LibvirtLibrary.DomainDestroy(domain, 0)), cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NoSuchVm or HypervisorFault.NotRunning)
        {
        }
    }

    public async ValueTask<string> MonitorCommandAsync(VmId vm, string qmpJson, CancellationToken cancellationToken)
    {
        string answer = await _connection.OnDomainAsync(
            vm,
            Lane.Job,
            "run a monitor command",
            _settings.JobLimit,
            domain =>
            {
                NativeResult.Check(LibvirtLibrary.DomainQemuMonitorCommand(domain, qmpJson, out nint result, 0));
                return NativeResult.Take(result);
            },
            cancellationToken);
        return ReadMonitorAnswer(vm, answer);
    }

    /// <summary>QEMU's refusal comes as an answer, not as a failed call.</summary>
    private static string ReadMonitorAnswer(VmId vm, string answer)
    {
        using JsonDocument document = JsonDocument.Parse(answer);
        if (document.RootElement.TryGetProperty("return", out JsonElement value))
        {
            return value.GetRawText();
        }

        string reason = document.RootElement.TryGetProperty("error", out JsonElement error) && error.TryGetProperty("desc", out JsonElement text)
            ? text.GetString() ?? answer
            : answer;
        throw new HypervisorException(HypervisorFault.Refused, $"QEMU of VM {vm} refused a monitor command: {reason}");
    }

    private async ValueTask ChangeAsync(VmId vm, string what, Func<DomainHandle, int> change, CancellationToken cancellationToken) =>
        await _connection.OnDomainAsync(vm, Lane.Job, what, _settings.JobLimit, domain => NativeResult.Check(change(domain)), cancellationToken);

    internal static int ResumeUnlessRunning(DomainHandle domain)
    {
        int result = LibvirtLibrary.DomainResume(domain);
        if (result >= 0)
        {
            return result;
        }

        LibvirtException reason = LibvirtException.Last();
        return reason.Code == LibvirtErrorCode.OperationInvalid && ReadRunState(domain) == VmRunState.Running ? 0 : throw reason;
    }

    internal static VmRunState ReadRunState(DomainHandle domain)
    {
        (LibvirtDomainState state, int reason) = ReadState(domain);
        return ToRunState(state, reason);
    }

    private static (LibvirtDomainState State, int Reason) ReadState(DomainHandle domain)
    {
        NativeResult.Check(LibvirtLibrary.DomainGetState(domain, out int state, out int reason, 0));
        return ((LibvirtDomainState)state, reason);
    }

    /// <summary>Off, and not because its guest shut down.</summary>
    internal static bool EndedByForce(LibvirtDomainState state, int reason) => state == LibvirtDomainState.Crashed
        || (state == LibvirtDomainState.Shutoff && reason is LibvirtShutoffReason.Destroyed or LibvirtShutoffReason.Crashed or LibvirtShutoffReason.Failed);

    /// <summary>The memory went to a file that somebody named (virsh save): libvirt keeps no account of it but this, and it
    /// says the same of a managed state that was discarded, until the next start.</summary>
    internal static bool IsSaved(LibvirtDomainState state, int reason) => state == LibvirtDomainState.Shutoff && reason == LibvirtShutoffReason.Saved;

    /// <summary>A crash of QEMU leaves "shut off": what it means for tracking is found out by the next capture, not by the reason.</summary>
    internal static VmRunState ToRunState(LibvirtDomainState state, int reason) => state switch
    {
        LibvirtDomainState.Running or LibvirtDomainState.Blocked => VmRunState.Running,
        LibvirtDomainState.Paused => reason == LibvirtPausedReason.IoError ? VmRunState.PausedIoError : VmRunState.Paused,
        LibvirtDomainState.PmSuspended => VmRunState.Paused,
        LibvirtDomainState.Shutdown => VmRunState.ShuttingDown,
        LibvirtDomainState.Crashed => VmRunState.Crashed,
        _ => VmRunState.Off,
    };
}
