using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Connection;
using Understudy.Libvirt.Native;
using Understudy.Nbd;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Capture;

/// <summary>What all captures of a host share: the connection, the scratch folder, and which captures are alive in this process.</summary>
internal sealed class CaptureHost(LibvirtConnection connection, LibvirtSettings settings, TimeProvider time, ILogger logger)
{
    private readonly ConcurrentDictionary<string, ScratchNames> _live = new(StringComparer.Ordinal);

    public ILogger Logger { get; } = logger;

    public NbdPatience Patience { get; } = new(settings.CaptureSilence, time);

    public ScratchFolder Folder { get; } = new(settings.ScratchFolder);

    public void Remember(ScratchNames names) => _live[names.Stem] = names;

    /// <summary>The job is over: its files go.</summary>
    public void Forget(ScratchNames names, IReadOnlyList<string> targetDevices)
    {
        ScratchFolder.Delete(names, targetDevices);
        Release(names);
    }

    /// <summary>From now on it counts as left behind.</summary>
    public void Release(ScratchNames names) => _live.TryRemove(names.Stem, out _);

    /// <summary>
    /// Ends this capture's job if it still runs, and resumes a guest that was paused meanwhile. No error when neither is
    /// needed, or the VM is gone.
    /// </summary>
    /// <param name="wasPausedByIoError">Before the capture began: then it is not our doing, and not ours to resume.</param>
    public Task EndJobAsync(VmId vm, ScratchNames names, bool wasPausedByIoError, CancellationToken cancellationToken) =>
        EndJobAsync(vm, socket => socket == names.Socket, _ => !wasPausedByIoError, cancellationToken);

    /// <summary>Ends a job that an earlier process of ours left (nobody resumed its guest either), and deletes every file of a capture that is not alive.</summary>
    public async Task ClearStaleAsync(VmId vm, CancellationToken cancellationToken)
    {
        await EndJobAsync(
            vm,
            socket => ScratchNames.IsOurs(Folder.Path, vm, socket) && !_live.ContainsKey(Path.GetFileNameWithoutExtension(socket)),
            ended => ended,
            cancellationToken);
        Folder.DeleteAll(vm, [.. _live.Keys]);
    }

    /// <summary>
    /// The one place that ends jobs of ours. The guest is looked at after the end, when scratch can no longer pause it, and
    /// in the same call: a caller that is cancelled or gives up leaves no guest paused.
    /// </summary>
    /// <param name="mayResume">Told whether there was a job to end.</param>
    private async Task EndJobAsync(VmId vm, Func<string, bool> isOurs, Func<bool, bool> mayResume, CancellationToken cancellationToken)
    {
        try
        {
            await connection.OnDomainAsync(vm, Lane.Job, "end the backup", settings.JobLimit, EndAndResume, cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NoSuchVm or HypervisorFault.NotRunning)
        {
        }

        bool EndAndResume(DomainHandle domain)
        {
            bool ended = BackupJob.End(domain, isOurs);
            if (mayResume(ended) && LibvirtHypervisor.ReadRunState(domain) == VmRunState.PausedIoError)
            {
                NativeResult.Check(LibvirtHypervisor.ResumeUnlessRunning(domain));
                Logger.ResumedAfterCapture(vm.ToString());
            }

            return ended;
        }
    }
}
