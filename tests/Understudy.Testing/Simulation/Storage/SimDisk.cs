using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Testing.Simulation.Storage;

/// <summary>
/// A host's disk: a file system with a page cache, shared by the host's processes, kept over their deaths.
/// Fault model. A kill loses nothing that a call had already put into the cache; the call it interrupts may have taken
/// effect wholly, in part or not at all. A power loss also loses, tears and reorders what was not flushed
/// (<see cref="SimContent"/>, <see cref="SimFolder"/>). A failed flush drops dirty data in the same way, at once, or leaves
/// it in the cache as clean, to be gone at the next power loss.
/// A failed write may leave a part of its data behind. Reads fail loudly; silent damage only comes from
/// <see cref="FlipBit"/>.
/// </summary>
public sealed class SimDisk
{
    private readonly Simulator _simulator;
    private readonly SimRandom _random;
    private readonly TimeSpan _usualTime;

    internal SimDisk(Simulator simulator, string name, SimRandom random)
    {
        _simulator = simulator;
        Name = name;
        _random = random;
        _usualTime = random.Between(TimeSpan.FromMicroseconds(20), TimeSpan.FromMilliseconds(2));
    }

    public string Name { get; }

    public StorageFaults Faults { get; } = new();

    public StorageCounters Counters { get; } = new();

    /// <summary>When the last operation that stalled ends.</summary>
    public long StalledUntilTicks { get; private set; }

    public long CapacityBytes { get; set; } = long.MaxValue / 4;

    /// <summary>Called at the start of every operation with a running number: the way to strike at the n-th one.</summary>
    public Action<long>? OnOperation { get; set; }

    internal SimFolder Root { get; private set; } = new();

    internal SimRandom Random => _random;

    /// <summary>A process's view of one folder of the disk; its handles die with the process.</summary>
    public IFileStore OpenStore(SimProcess process, string folder) => new SimFileStore(this, process, folder);

    /// <summary>A file of the disk as a block device; for writing it is made, durably, when it does not exist.</summary>
    public IBlockDevice OpenDevice(SimProcess process, string path, long sizeBytes, bool readOnly)
    {
        if (Find(path) is not SimContent content)
        {
            if (readOnly)
            {
                throw new StorageException(FaultKind.Missing, path, "no such image");
            }

            content = new SimContent();
            content.SetLength(sizeBytes);
            content.Flush(content.LastChange);
            (SimFolder folder, string name) = Resolve(path, create: true);
            folder.Link(name, content);
            Settle(path);
        }

        return new SimBlockDevice(this, process, path, content, readOnly);
    }

    /// <summary>Makes an image longer, durably; no error when it was never opened.</summary>
    public void Resize(string path, long sizeBytes)
    {
        if (Find(path) is SimContent content)
        {
            content.SetLength(sizeBytes);
            content.Flush(content.LastChange);
        }
    }

    /// <summary>Removes an image, durably.</summary>
    public void Remove(string path)
    {
        if (Find(path) is not null)
        {
            (SimFolder folder, string name) = Resolve(path, create: false);
            folder.Unlink(name);
            Settle(path);
        }
    }

    /// <summary>Flips one bit of a file without telling anyone. False when the file has no such byte.</summary>
    public bool FlipBit(string path, long offset)
    {
        if (Find(path) is not SimContent content || offset >= content.LengthBytes)
        {
            return false;
        }

        content.Flip(offset, (byte)(1 << _random.Next(8)));
        return true;
    }

    /// <summary>A file's content as it is now, past every fault; null when there is none.</summary>
    public byte[]? ReadFile(string path)
    {
        if (Find(path) is not SimContent content)
        {
            return null;
        }

        byte[] bytes = new byte[content.LengthBytes];
        content.Read(0, bytes);
        return bytes;
    }

    /// <summary>What a power loss now would leave of a file at the least: names and bytes that were flushed. Null when that is no file.</summary>
    public byte[]? ReadDurable(string path) => (DurableNodeOf(path) as SimContent)?.ReadDurable();

    /// <summary>What stands under a name: another object once the file was replaced, null when there is none.</summary>
    public object? NodeOf(string path) => Find(path);

    /// <summary>The same of the names that were flushed.</summary>
    public object? DurableNodeOf(string path)
    {
        object? node = Root;
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            node = (node as SimFolder)?.FindDurable(part);
        }

        return node;
    }

    /// <summary>All files below a folder with their lengths, in ordinal order.</summary>
    public IReadOnlyList<StoreEntry> ListAll(string path)
    {
        var found = new List<StoreEntry>();
        if (Find(path) is SimFolder folder)
        {
            Collect(folder, path, found);
        }

        return found;
    }

    internal void LosePower()
    {
        Counters.PowerLosses++;
        Root.Lose(_random);
    }

    /// <summary>How long an operation that begins now takes, and how it will end.</summary>
    internal (TimeSpan Time, StorageException? Fault) Decide(DiskOperation operation, string subject, long growthBytes)
    {
        OnOperation?.Invoke(++Counters.Operations);
        TimeSpan time = _usualTime * (0.25 + _random.NextFraction());
        if (_random.Chance(Faults.Stall))
        {
            Counters.Stalls++;
            time = Faults.StallTime;
            StalledUntilTicks = Math.Max(StalledUntilTicks, _simulator.NowTicks + time.Ticks);
        }

        return (time, NextFault(operation, subject, growthBytes));
    }

    internal (SimFolder Folder, string Name) Resolve(string path, bool create)
    {
        string[] parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        SimFolder folder = Root;
        for (int i = 0; i < parts.Length - 1; i++)
        {
            folder = Enter(folder, parts[i], create) ?? throw new StorageException(FaultKind.Missing, path, "no such folder");
        }

        return (folder, parts[^1]);
    }

    internal object? Find(string path)
    {
        object? node = Root;
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            node = node is SimFolder folder && folder.Entries.TryGetValue(part, out object? next) ? next : null;
        }

        return node;
    }

    internal long FreeBytes() => Faults.Full ? 0 : Math.Max(0, CapacityBytes - Root.TotalBytes());

    internal void Trace(SimProcess process, string what, string subject, long first = 0, long second = 0) =>
        _simulator.Trace.Event(_simulator.NowTicks, process.Name, what, subject, first, second);

    private static SimFolder? Enter(SimFolder folder, string name, bool create)
    {
        if (!folder.Entries.TryGetValue(name, out object? next) && create)
        {
            next = new SimFolder();
            folder.Link(name, next);
        }

        return next as SimFolder;
    }

    private static void Collect(SimFolder folder, string path, List<StoreEntry> found)
    {
        foreach ((string name, object node) in folder.Entries)
        {
            string full = path.Length == 0 ? name : $"{path}/{name}";
            if (node is SimContent content)
            {
                found.Add(new StoreEntry(full, content.LengthBytes));
            }
            else
            {
                Collect((SimFolder)node, full, found);
            }
        }
    }

    private void Settle(string path)
    {
        SimFolder folder = Root;
        folder.Flush();
        foreach (string part in path.Split('/', StringSplitOptions.RemoveEmptyEntries).SkipLast(1))
        {
            folder = (SimFolder)folder.Entries[part];
            folder.Flush();
        }
    }

    private StorageException? NextFault(DiskOperation operation, string subject, long growthBytes)
    {
        switch (operation)
        {
            case DiskOperation.Read when _random.Chance(Faults.ReadError):
                Counters.ReadErrors++;
                return new StorageException(FaultKind.Io, subject, "read failed (simulated)");
            case DiskOperation.Write or DiskOperation.Names when growthBytes > 0 && (Faults.Full || growthBytes > FreeBytes()):
                Counters.FullErrors++;
                return new StorageException(FaultKind.Full, subject, "no space left (simulated)");
            case DiskOperation.Write or DiskOperation.Names when _random.Chance(Faults.WriteError):
                Counters.WriteErrors++;
                return new StorageException(FaultKind.Io, subject, "write failed (simulated)");
            case DiskOperation.Flush when _random.Chance(Faults.FlushFailure):
                Counters.FlushFailures++;
                return new StorageException(FaultKind.FlushFailed, subject, "flush failed (simulated)");
            default:
                return null;
        }
    }
}
