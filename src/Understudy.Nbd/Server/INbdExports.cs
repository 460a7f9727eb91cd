using Understudy.Blocks;

namespace Understudy.Nbd;

/// <summary>What a server has to offer. Asked once for each connection and option; may be asked from several at once.</summary>
public interface INbdExports
{
    /// <summary>
    /// The export of this name, null when there is none. The name comes from outside. The server reads, writes and flushes
    /// the device but never disposes of it: its owner does, after the connections that use it have ended.
    /// </summary>
    ValueTask<NbdExport?> FindAsync(string name, CancellationToken cancellationToken);

    /// <summary>Names for a client that asks for the list; null refuses to tell.</summary>
    ValueTask<IReadOnlyList<string>?> ListAsync(CancellationToken cancellationToken);
}

/// <summary>A disk on offer. It is read-only exactly when the device is.</summary>
public sealed record NbdExport(IBlockDevice Device, string Description = "");
