namespace Understudy.Protection.Ports;

/// <summary>
/// qemu-storage-daemon processes, one for each purpose. They live outside the agent: a kill of the agent does not touch
/// them, and the next agent adopts them by asking for the same specification again. What a daemon exports is said whole,
/// up front; a change means another specification and so a new process, which its clients' reconnect bridges.
/// </summary>
public interface IStorageDaemons
{
    /// <summary>
    /// After this a daemon with exactly this specification runs and its socket answers: one that runs so already is
    /// adopted, one under the same name with another specification is stopped first, otherwise one is started.
    /// </summary>
    ValueTask<StorageDaemonFacts> EnsureAsync(StorageDaemonSpec spec, CancellationToken cancellationToken);

    /// <summary>Returns when the process is gone, its files are closed and its socket file is removed; no error when none runs.</summary>
    ValueTask StopAsync(string name, string socketPath, CancellationToken cancellationToken);

    /// <summary>Null when none runs under that name.</summary>
    ValueTask<StorageDaemonFacts?> FindAsync(string name, CancellationToken cancellationToken);

    /// <summary>Names of all daemons of this agent that run, whoever started them, in ordinal order.</summary>
    ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken);
}

/// <param name="Name">Unique on the host; letters, digits, hyphens.</param>
/// <param name="SocketPath">UNIX socket of the daemon's NBD server; empty when nothing is exported over it.</param>
/// <param name="ForGuests">The guests' QEMU, which runs as another user, must be able to connect.</param>
public sealed record StorageDaemonSpec(string Name, string SocketPath, bool ForGuests, IReadOnlyList<StorageExport> Exports)
{
    public bool Equals(StorageDaemonSpec? other) =>
        other is not null && Name == other.Name && SocketPath == other.SocketPath && ForGuests == other.ForGuests && Exports.SequenceEqual(other.Exports);

    public override int GetHashCode() => HashCode.Combine(Name, SocketPath, Exports.Count);
}

/// <param name="Name">NBD export name.</param>
/// <param name="Bitmap">A dirty bitmap of the image that is shown too, as <c>qemu:dirty-bitmap:NAME</c>; only of one that is
/// not written.</param>
/// <param name="File">Shown as this file, through FUSE, instead of over the socket. It exists and is empty before.</param>
public sealed record StorageExport(string Name, StorageBacking Backing, bool Writable, string? Bitmap = null, string? File = null);

/// <summary>What an export shows.</summary>
public abstract record StorageBacking
{
    private StorageBacking()
    {
    }

    /// <summary>An image file, opened with its format driver, direct I/O and discard passed down.</summary>
    /// <param name="IsDevice">A block device holds it: QEMU opens files and devices with different drivers. Said by whoever knows,
    /// because to look takes as long as the file system below it likes.</param>
    public sealed record Image(string Path, string Format, bool IsDevice = false) : StorageBacking;

    /// <summary>Another NBD server on a UNIX socket. Requests wait up to <paramref name="ReconnectDelay"/> for a server
    /// that went away before they fail.</summary>
    public sealed record Nbd(string SocketPath, string ExportName, TimeSpan ReconnectDelay) : StorageBacking;

    /// <summary>A qcow2 image over something else, whatever its own header names as its backing. What is below is only read.</summary>
    public sealed record Overlay(string Path, StorageBacking Below) : StorageBacking;
}

/// <param name="Adopted">It was running already when asked for.</param>
public sealed record StorageDaemonFacts(string Name, int ProcessId, bool Adopted);
