using Understudy.Protection.Ownership;
using Understudy.Testing.Simulation.Storage;

namespace Understudy.Simulation.Sites;

/// <summary>One side's record of who owns a VM, read past its agent: what it says now, and what a power loss would leave.</summary>
internal sealed class TokenFile(SimDisk disk, string folder)
{
    private readonly SimDisk _disk = disk;
    private readonly string _path = $"{folder}/{OwnershipFile.Name}";
    private (object? Node, OwnershipRecord? Record) _now;
    private (object? Node, OwnershipRecord? Record) _durable;

    /// <summary>Null when there is none, or none that can be read.</summary>
    public OwnershipRecord? Now => Read(ref _now, _disk.NodeOf(_path), () => _disk.ReadFile(_path));

    /// <summary>The last that was flushed with its name.</summary>
    public OwnershipRecord? Durable => Read(ref _durable, _disk.DurableNodeOf(_path), () => _disk.ReadDurable(_path));

    /// <summary>A record is never changed but replaced.</summary>
    private static OwnershipRecord? Read(ref (object? Node, OwnershipRecord? Record) last, object? node, Func<byte[]?> read)
    {
        if (node != last.Node)
        {
            last = (node, read() is { } bytes ? OwnershipFile.Document.Decode(bytes, out _) : null);
        }

        return last.Record;
    }
}
