using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Qemu.Native;
using Understudy.Qemu.Processes;

namespace Understudy.Qemu;

/// <summary>
/// Block devices of the host through a storage daemon's FUSE export with a loop device on it
/// (docs/decisions/host-devices.md): what stands below may be a view over NBD, and nothing of it needs the kernel's NBD
/// client, which cannot be told to wait for a server.
/// </summary>
public sealed class HostDevices(QemuSettings settings, IStorageDaemons daemons) : IHostDevices
{
    private readonly LoopDevices _loops = new(settings);
    private bool? _canExport;

    public async ValueTask<string?> FindObstacleAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists("/dev/fuse"))
        {
            return "there is no /dev/fuse here (modprobe fuse; in a container or namespace of its own, the node has to be given to it)";
        }

        if (!File.Exists("/dev/loop-control"))
        {
            return "there is no /dev/loop-control here (modprobe loop; in a container or namespace of its own, the node has to be given to it)";
        }

        _canExport ??= (await ToolRunner.RequireAsync(
            [settings.StorageDaemonProgram, "--help"], $"{settings.StorageDaemonProgram} does not answer", settings.CommandLimit, cancellationToken))
            .Contains("fuse,", StringComparison.Ordinal);
        return _canExport == true ? null : $"{settings.StorageDaemonProgram} was built without FUSE exports";
    }

    public async ValueTask<IReadOnlyList<string>> EnsureAsync(HostDeviceSet set, CancellationToken cancellationToken)
    {
        if (await daemons.FindAsync(set.Name, cancellationToken) is null)
        {
            await ClearStaleAsync(set, cancellationToken);
            Directory.CreateDirectory(set.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            foreach (HostDevice device in set.Devices)
            {
                await File.WriteAllBytesAsync(FileOf(set, device), [], cancellationToken);
            }
        }

        await daemons.EnsureAsync(DaemonOf(set), cancellationToken);
        List<string> devices = [];
        foreach (HostDevice device in set.Devices)
        {
            devices.Add(await _loops.EnsureAsync(FileOf(set, device), device.Writable, cancellationToken));
        }

        return devices;
    }

    public async ValueTask<string?> TryRemoveAsync(HostDeviceSet set, CancellationToken cancellationToken)
    {
        string[] used = [.. set.Devices.Select(device => LoopDevices.Find(FileOf(set, device))).OfType<string>().Where(LoopDevices.IsInUse)];
        if (used.Length > 0)
        {
            return $"{string.Join(", ", used)} is in use on this host (a mounted file system, or something else that has it for itself)";
        }

        foreach (HostDevice device in set.Devices)
        {
            if (!await _loops.RemoveAsync(FileOf(set, device), cancellationToken))
            {
                return $"{LoopDevices.Find(FileOf(set, device))} is still open on this host";
            }
        }

        await daemons.StopAsync(set.Name, "", cancellationToken);
        await ClearStaleAsync(set, cancellationToken);
        return null;
    }

    /// <summary>What a daemon leaves that was killed: a mount nobody answers, a device on it.</summary>
    private async ValueTask ClearStaleAsync(HostDeviceSet set, CancellationToken cancellationToken)
    {
        foreach (HostDevice device in set.Devices)
        {
            string file = FileOf(set, device);
            if (!await _loops.RemoveAsync(file, cancellationToken))
            {
                // A new device beside it would be another one than its user has; so nothing is made until he lets go.
                throw new ImageToolException(
                    FaultClass.NeedsOperator, $"{LoopDevices.Find(file)} is still open on this host, and its storage daemon has died: its reader sees errors.", "Close it (umount); the device comes back by itself.");
            }

            PosixCalls.Unmount(file);
            if (Directory.Exists(set.Folder))
            {
                File.Delete(file);
            }
        }

        if (Directory.Exists(set.Folder) && !Directory.EnumerateFileSystemEntries(set.Folder).Any())
        {
            Directory.Delete(set.Folder);
        }
    }

    private static StorageDaemonSpec DaemonOf(HostDeviceSet set) => new(
        set.Name,
        SocketPath: "",
        ForGuests: false,
        [.. set.Devices.Select(device => new StorageExport(device.Name, device.Backing, device.Writable, File: FileOf(set, device)))]);

    private static string FileOf(HostDeviceSet set, HostDevice device) => $"{set.Folder}/{device.Name}";
}
