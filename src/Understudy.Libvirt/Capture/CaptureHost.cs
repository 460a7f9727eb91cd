using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Connection;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Capture;

/// <summary>What all captures of a host share: the connection, the scratch folder, and which captures are alive in this process.</summary>
internal sealed class CaptureHost(LibvirtConnection connection, LibvirtSettings settings, ILogger logger)
{
    private readonly ConcurrentDictionary<string, ScratchNames> _live = new(StringComparer.Ordinal);

    public ILogger Logger { get; } = logger;

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

    /// <summary>Ends this capture's job if it still runs. No error when it does not, or the VM is gone.</summary>
    public Task EndJobAsync(VmId vm, ScratchNames names, CancellationToken cancellationToken) =>
        EndJobAsync(vm, socket => socket == names.Socket, cancellationToken);

    /// <summary>Ends a job that an earlier process of ours left, and deletes every file of a capture that is not alive.</summary>
    public async Task ClearStaleAsync(VmId vm, CancellationToken cancellationToken)
    {
        await EndJobAsync(
            vm,
            socket => ScratchNames.IsOurs(Folder.Path, vm, socket) && !_live.ContainsKey(Path.GetFileNameWithoutExtension(socket)),
            cancellationToken);
        Folder.DeleteAll(vm, [.. _live.Keys]);
    }

    private async Task EndJobAsync(VmId vm, Func<string, bool> isOurs, CancellationToken cancellationToken)
    {
        try
        {
            await connection.OnDomainAsync(vm, Lane.Job, "end the backup", settings.JobLimit, domain => BackupJob.End(domain, isOurs), cancellationToken);
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NoSuchVm or HypervisorFault.NotRunning)
        {
        }
    }
}
