using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ports;

/// <summary>
/// The disks of a VM that is off, read in place with what changed since a checkpoint, without the hypervisor. While they
/// are open nobody can start the VM, so this is for a VM that is fenced.
/// </summary>
public interface IStoppedDisks
{
    /// <summary>
    /// Opens all disks, as they are. Throws <see cref="HypervisorException"/>: with <see cref="HypervisorFault.TrackingLost"/>
    /// when an image does not have <see cref="StoppedDisksRequest.Since"/> or cannot vouch for it, with
    /// <see cref="HypervisorFault.Busy"/> when somebody has an image open for writing.
    /// </summary>
    ValueTask<ICapture> OpenAsync(StoppedDisksRequest request, CancellationToken cancellationToken);

    /// <summary>Closes what an earlier process of ours left open. No error when it left nothing.</summary>
    ValueTask CloseStaleAsync(VmId vm, CancellationToken cancellationToken);
}

/// <param name="Since">The checkpoint whose changes are wanted; null for none.</param>
public sealed record StoppedDisksRequest(VmId Vm, string? Since, IReadOnlyList<StoppedDisk> Disks);

/// <param name="WantsChanges">As in <see cref="CaptureDisk"/>.</param>
public sealed record StoppedDisk(string TargetDevice, string Path, string Format, bool WantsChanges = true);
