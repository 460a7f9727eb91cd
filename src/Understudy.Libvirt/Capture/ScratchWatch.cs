using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Connection;
using Understudy.Libvirt.Native;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Capture;

/// <summary>
/// Guards the guest while a capture runs: old content that the guest overwrites goes to scratch, and when scratch is
/// full QEMU pauses the guest. At half of the quota the capture ends; a guest that was paused all the same goes on as
/// soon as it is seen (an I/O error event wakes the watch at once).
/// </summary>
/// <param name="limitBytes">Half of the quota, or less where the file system has less.</param>
/// <param name="wasPausedByIoError">Before the capture began: then it is not our doing, and not ours to resume.</param>
internal sealed class ScratchWatch(
    LibvirtConnection connection, LibvirtSettings settings, TimeProvider time, CaptureRequest request, long limitBytes, bool wasPausedByIoError)
{
    /// <param name="endCapture">Told the reason; returns when the job has ended and a paused guest goes on. Without a token: half done, it would leave the guest paused.</param>
    public async Task RunAsync(Func<HypervisorException, Task> endCapture, CancellationToken cancellationToken)
    {
        using EventHub.Watcher events = connection.Events.Subscribe();
        try
        {
            while (true)
            {
                await WaitAsync(events, cancellationToken);
                if (await TryLookAsync(cancellationToken) is { } seen && Judge(seen) is { } reason)
                {
                    await EndAsync(endCapture, reason);
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    private async Task EndAsync(Func<HypervisorException, Task> endCapture, HypervisorException reason)
    {
        try
        {
            await endCapture(reason);
        }
        catch (HypervisorException failed)
        {
            connection.Logger.WatchFailed(request.Vm.ToString(), failed.Message);
        }
    }

    private HypervisorException? Judge((long ScratchBytes, bool Paused) seen)
    {
        if (seen.Paused)
        {
            return new HypervisorException(
                HypervisorFault.ScratchFull,
                $"VM {request.Vm} was paused by an I/O error during a capture, most likely because {settings.ScratchFolder} is full; the capture was ended and the VM resumed",
                "Give the scratch folder more space, or shorten the interval so that a cycle has less to carry.");
        }

        return seen.ScratchBytes < limitBytes
            ? null
            : new HypervisorException(
                HypervisorFault.ScratchFull,
                $"VM {request.Vm} overwrote {seen.ScratchBytes} bytes during a capture, and {limitBytes} are allowed; the capture was ended",
                "The next cycle covers it. If it happens again, raise the scratch limit.");
    }

    /// <summary>Null when libvirt does not say now: the next look will, and a capture is not ended for a slow answer.</summary>
    private async Task<(long ScratchBytes, bool Paused)?> TryLookAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await connection.OnDomainAsync(request.Vm, Lane.Query, "watch the capture", settings.QueryLimit, Look, cancellationToken);
        }
        catch (HypervisorException unknown)
        {
            connection.Logger.WatchFailed(request.Vm.ToString(), unknown.Message);
            return null;
        }
    }

    private (long ScratchBytes, bool Paused) Look(DomainHandle domain) =>
        (BackupJob.ReadScratchUsed(domain), !wasPausedByIoError && LibvirtHypervisor.ReadRunState(domain) == VmRunState.PausedIoError);

    /// <summary>One interval, or less when something happened to this VM.</summary>
    private async Task WaitAsync(EventHub.Watcher events, CancellationToken cancellationToken)
    {
        using var interval = new CancellationTokenSource(settings.ScratchWatchInterval, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(interval.Token, cancellationToken);
        try
        {
            while (true)
            {
                VmEvent happened = await events.Reader.ReadAsync(either.Token);
                if (happened.Vm == request.Vm && happened.Kind == VmEventKind.IoError)
                {
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
        }
    }
}
