using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Models;

/// <summary>
/// A VM as its hypervisor sees it: disks, change tracking, and at most one capture. Checkpoints behave as libvirt's do:
/// only the newest one's bitmap records; changes since an older one are the union up to the newest; deleting one merges
/// it into the one before; a QEMU that dies leaves every bitmap inconsistent, though still listed.
/// </summary>
internal sealed class ModelVm
{
    private readonly List<Checkpoint> _checkpoints = [];
    private readonly List<bool> _isPlugged;
    private readonly Dictionary<DateTimeOffset, Cut> _cuts = [];
    private DateTimeOffset _lastCutAt;

    public ModelVm(VmId id, string name, IReadOnlyList<long> diskSizes, SimHost host)
    {
        Id = id;
        Name = name;
        Host = host;
        Disks = [.. diskSizes.Select(size => new DiskImage(size))];
        Targets = [.. diskSizes.Select((_, i) => NameOf(i))];
        _isPlugged = [.. diskSizes.Select(_ => true)];
    }

    public VmId Id { get; }

    public string Name { get; }

    public SimHost Host { get; }

    /// <summary>All that it ever had, also those that were unplugged: no device's name is given to a second one.</summary>
    public List<DiskImage> Disks { get; }

    public List<string> Targets { get; }

    /// <summary>Disks came, went or grew.</summary>
    public bool HasOtherDisksThanFirst { get; private set; }

    public bool IsRunning { get; set; }

    /// <summary>Part of the definition, raised when the model changes it.</summary>
    public int DefinitionVersion { get; private set; } = 1;

    public ModelCapture? Capture { get; set; }

    public IEnumerable<string> CheckpointNames => _checkpoints.Select(c => c.Name);

    /// <summary>What stands in its definition beside name, identity and version; empty for disks alone.</summary>
    public Func<ModelVm, string>? DevicesXml { get; init; }

    public string DefinitionXml =>
        $"<domain type='kvm'><name>{Name}</name><uuid>{Id}</uuid><description>{DefinitionVersion}</description>"
        + (DevicesXml?.Invoke(this) ?? $"<devices>{DisksXml}</devices>") + "</domain>";

    private string DisksXml => string.Concat(Targets.Select(target => $"<disk device='disk'><target dev='{target}'/></disk>"));

    public void ChangeDefinition() => DefinitionVersion++;

    public static int VersionOf(string definitionXml)
    {
        string version = System.Xml.Linq.XElement.Parse(definitionXml).Element("description")?.Value ?? "0";
        return int.Parse(version, System.Globalization.CultureInfo.InvariantCulture);
    }

    public bool IsPlugged(int disk) => _isPlugged[disk];

    /// <summary>A new disk, empty, while the VM runs.</summary>
    public void Plug(long sizeBytes)
    {
        Disks.Add(new DiskImage(sizeBytes));
        Targets.Add(NameOf(Disks.Count - 1));
        _isPlugged.Add(true);
        ChangeDisks();
    }

    /// <summary>For good.</summary>
    public void Unplug(int disk)
    {
        _isPlugged[disk] = false;
        ChangeDisks();
    }

    /// <summary>What is new reads as zeros and counts as unchanged.</summary>
    public void Grow(int disk, long toBytes)
    {
        Disks[disk] = Disks[disk].Grown(toBytes);
        foreach (Checkpoint checkpoint in _checkpoints)
        {
            checkpoint.Grow(disk, Disks[disk].BlockCount);
        }

        ChangeDisks();
    }

    /// <summary>What the disks held at each cut, by the cut's time (unique by construction).</summary>
    public Cut? FindCut(DateTimeOffset cutAt) => _cuts.GetValueOrDefault(cutAt);

    /// <summary>The content at this instant, as a cut nobody made.</summary>
    public Cut Now() => new([.. Disks.Select(d => d.Snapshot())], DefinitionVersion, Host.Simulator.NowTicks);

    public void Write(int disk, long offset, ReadOnlySpan<byte> data)
    {
        if (!IsPlugged(disk))
        {
            return;
        }

        Touch(disk, (int)(offset / BlockSize.Bytes));
        Disks[disk].Write(offset, data);
    }

    public void Discard(int disk, int block)
    {
        if (!IsPlugged(disk))
        {
            return;
        }

        Touch(disk, block);
        Disks[disk].Discard(block);
    }

    /// <summary>Cuts all disks now. The time given out is the host's, moved on where it would repeat one.</summary>
    public (Cut Cut, DateTimeOffset At) MakeCut(string checkpoint, DateTimeOffset now)
    {
        _checkpoints.Add(new Checkpoint(checkpoint, this));
        Cut cut = Now();
        return (cut, Note(cut, now));
    }

    /// <summary>The content of a VM that is off: a cut that begins no checkpoint.</summary>
    public (Cut Cut, DateTimeOffset At) NoteStopped(DateTimeOffset now)
    {
        Cut cut = Now();
        return (cut, Note(cut, now));
    }

    /// <summary>Null when the checkpoint is missing or its bitmap cannot be trusted.</summary>
    /// <param name="before">Up to where that one begins; empty for up to now.</param>
    public IReadOnlyList<ByteRange>? ChangedSince(string checkpoint, string before, int disk)
    {
        int from = _checkpoints.FindIndex(c => c.Name == checkpoint);
        int to = before.Length == 0 ? _checkpoints.Count : _checkpoints.FindIndex(c => c.Name == before);
        if (from < 0 || to < 0 || _checkpoints.Skip(from).Take(to - from).Any(c => !c.IsConsistent || !c.Has(disk)))
        {
            return null;
        }

        var ranges = new List<ByteRange>();
        for (int block = 0; block < Disks[disk].BlockCount; block++)
        {
            if (_checkpoints.Skip(from).Take(to - from).Any(c => c.Dirty[disk][block]))
            {
                AddBlock(ranges, block, Disks[disk].SizeBytes);
            }
        }

        return ranges;
    }

    public bool IsTracked(string checkpoint)
    {
        int from = _checkpoints.FindIndex(c => c.Name == checkpoint);
        return from >= 0 && _checkpoints.Skip(from).All(c => c.IsConsistent);
    }

    public bool HasCheckpoint(string name) => _checkpoints.Any(c => c.Name == name);

    public void DeleteCheckpoint(string name)
    {
        int index = _checkpoints.FindIndex(c => c.Name == name);
        if (index > 0)
        {
            _checkpoints[index - 1].Merge(_checkpoints[index]);
        }

        if (index >= 0)
        {
            _checkpoints.RemoveAt(index);
        }
    }

    /// <summary>QEMU is gone without a goodbye: no bitmap was saved, and a capture dies with it.</summary>
    public void Crash()
    {
        IsRunning = false;
        foreach (Checkpoint checkpoint in _checkpoints)
        {
            checkpoint.IsConsistent = false;
        }

        Capture?.Die();
        Capture = null;
    }

    /// <summary>QEMU has ended: in order it has written its bitmaps first.</summary>
    public void End(bool clean)
    {
        if (!clean)
        {
            Crash();
            return;
        }

        IsRunning = false;
        Capture?.Die();
        Capture = null;
    }

    private DateTimeOffset Note(Cut cut, DateTimeOffset now)
    {
        var at = new DateTimeOffset(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);
        while (at == _lastCutAt || _cuts.ContainsKey(at))
        {
            at = at.AddMicroseconds(1);
        }

        _lastCutAt = at;
        _cuts.Add(at, cut);
        return at;
    }

    private static string NameOf(int disk) => $"vd{(char)('a' + disk)}";

    private void ChangeDisks()
    {
        HasOtherDisksThanFirst = true;
        DefinitionVersion++;
    }

    private void Touch(int disk, int block)
    {
        if (_checkpoints.Count > 0 && _checkpoints[^1].Has(disk))
        {
            _checkpoints[^1].Dirty[disk][block] = true;
        }

        Capture?.CountScratch(disk, block);
    }

    private static void AddBlock(List<ByteRange> ranges, int block, long sizeBytes)
    {
        long start = (long)block * BlockSize.Bytes;
        long end = Math.Min(sizeBytes, start + BlockSize.Bytes);
        if (ranges.Count > 0 && ranges[^1].EndBytes == start)
        {
            ranges[^1] = ByteRange.FromTo(ranges[^1].OffsetBytes, end);
        }
        else
        {
            ranges.Add(ByteRange.FromTo(start, end));
        }
    }

    private sealed class Checkpoint(string name, ModelVm vm)
    {
        public string Name { get; } = name;

        public bool[][] Dirty { get; } = [.. vm.Disks.Select(d => new bool[d.BlockCount])];

        public bool IsConsistent { get; set; } = true;

        /// <summary>A disk that came after it is not in it.</summary>
        public bool Has(int disk) => disk < Dirty.Length;

        public void Grow(int disk, int blocks)
        {
            if (Has(disk))
            {
                Array.Resize(ref Dirty[disk], blocks);
            }
        }

        public void Merge(Checkpoint newer)
        {
            IsConsistent &= newer.IsConsistent;
            for (int disk = 0; disk < Dirty.Length; disk++)
            {
                for (int block = 0; block < Dirty[disk].Length; block++)
                {
                    Dirty[disk][block] |= newer.Dirty[disk][block];
                }
            }
        }
    }
}

/// <summary>All disks of a VM at one instant, and which definition it had then.</summary>
internal sealed record Cut(IReadOnlyList<DiskImage> Disks, int DefinitionVersion, long MadeAtTicks)
{
    /// <summary>Where the disks hold something else; null when they do not.</summary>
    public string? FirstDifference(Cut other)
    {
        for (int disk = 0; disk < Math.Min(Disks.Count, other.Disks.Count); disk++)
        {
            if (Disks[disk].FirstDifference(other.Disks[disk]) is { } block)
            {
                return $"block {block} of disk {disk}";
            }
        }

        return null;
    }
}
