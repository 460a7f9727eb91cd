using System.Globalization;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Nbd;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target.Runs;

/// <summary>A guest that runs on overlays over a point's views.</summary>
/// <param name="Run">Whose daemon is under it.</param>
/// <param name="Disks">The overlays that stand on that daemon.</param>
internal sealed record WatchedGuest(Guid Run, VmId Vm, string VmName, RecoveryPointId Point, IReadOnlyList<RunDisk> Disks)
{
    /// <summary>The overlays are a branch's: the guest writes to others above them.</summary>
    public bool OverlaysAreRead { get; init; }

    /// <summary>It is not ours to resume (another's VM, or one that is not owned here any more): only what we gave it is
    /// looked after.</summary>
    public bool IsForeign { get; init; }
}

/// <summary>
/// Keeps guests on views alive. A view server that restarts within the reconnect delay needs nothing from here. A guest
/// that was away longer is paused by its error policy and resumed when its disks read again. A storage daemon that died
/// is replaced and the guest's overlays are pointed at the new one, before a read of theirs has failed if possible.
/// Called by one loop.
/// </summary>
internal sealed class GuestWatch(ReplicaContext context)
{
    /// <summary>A probe that takes longer finds the views away; the next round tries again.</summary>
    private static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(2);

    private const int ProbeBytes = 4096;

    private readonly HashSet<Guid> _resumed = [];
    private int _nodes;

    public async ValueTask TendAsync(WatchedGuest guest, CancellationToken cancellationToken)
    {
        StorageDaemonFacts daemon = await context.RunDisks.EnsureDaemonAsync(guest.Run, guest.Point, guest.Disks, cancellationToken);
        VmRunState state = await context.Services.Hypervisor.GetRunStateAsync(guest.Vm, cancellationToken);
        if (state is not (VmRunState.Running or VmRunState.Paused or VmRunState.PausedIoError))
        {
            return; // Off, or gone: nothing hangs on the views. The daemon stands ready for the next start.
        }

        if (!daemon.Adopted)
        {
            Log.DaemonReplaced(context.Logger, context.Vm, guest.VmName);
            await ReopenAsync(guest, cancellationToken);
        }

        if (state != VmRunState.PausedIoError || guest.IsForeign)
        {
            _resumed.Remove(guest.Run);
            return;
        }

        if (!await CanReadAsync(guest, cancellationToken))
        {
            return;
        }

        // Paused again although its disks read: the connection inside QEMU is dead (the daemon was replaced while no
        // agent looked).
        if (!_resumed.Add(guest.Run) && daemon.Adopted)
        {
            await ReopenAsync(guest, cancellationToken);
        }

        await context.Services.Hypervisor.ResumeAsync(guest.Vm, cancellationToken);
        Log.GuestResumed(context.Logger, context.Vm, guest.VmName);
    }

    private async ValueTask ReopenAsync(WatchedGuest guest, CancellationToken cancellationToken)
    {
        foreach (RunDisk disk in guest.Disks)
        {
            string node = string.Create(CultureInfo.InvariantCulture, $"us-{disk.TargetDevice}-{context.Services.Time.GetUtcNow().ToUnixTimeMilliseconds() % 1_000_000_000}-{_nodes++ % 100}");
            await BackingReopen.RunAsync(
                context.Services.Hypervisor, guest.Vm, disk.Overlay, context.Places.RunSocket(guest.Run), disk.TargetDevice, node, guest.OverlaysAreRead, cancellationToken);
        }
    }

    /// <summary>Through the daemon, as the guest would.</summary>
    private async ValueTask<bool> CanReadAsync(WatchedGuest guest, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new(ProbeLimit, context.Services.Time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        byte[] sector = new byte[ProbeBytes];
        try
        {
            foreach (RunDisk disk in guest.Disks)
            {
                Stream stream = await context.Services.Sockets.ConnectAsync(context.Places.RunSocket(guest.Run), either.Token);
                await using NbdClient client = await NbdClient.ConnectAsync(stream, new NbdClientOptions { Export = disk.TargetDevice }, either.Token);
                await client.ReadAsync(0, sector.AsMemory(0, (int)Math.Min(ProbeBytes, client.SizeBytes)), either.Token);
            }

            return true;
        }
        catch (StorageException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}
