namespace Understudy.Protection.Ports;

/// <summary>Images shown as bare block devices of this host, one daemon process for each set. They outlive the agent: the next
/// one finds them by asking for the same set again.</summary>
public interface IHostDevices
{
    /// <summary>What this host lacks for it, in words; null when nothing.</summary>
    ValueTask<string?> FindObstacleAsync(CancellationToken cancellationToken);

    /// <summary>After this the devices are there, in the order of the set; those that were there already are the same ones.
    /// After a reboot, or when the daemon died, they may have other names.</summary>
    ValueTask<IReadOnlyList<string>> EnsureAsync(HostDeviceSet set, CancellationToken cancellationToken);

    /// <summary>Takes them away. Says what is in the way, and then all of them stand as before; null when they are gone.</summary>
    ValueTask<string?> TryRemoveAsync(HostDeviceSet set, CancellationToken cancellationToken);
}

/// <param name="Name">Unique on the host; letters, digits, hyphens.</param>
/// <param name="Folder">For the daemon's own files; removed with the set.</param>
public sealed record HostDeviceSet(string Name, string Folder, IReadOnlyList<HostDevice> Devices);

/// <param name="Name">Unique in the set.</param>
public sealed record HostDevice(string Name, StorageBacking Backing, bool Writable);
