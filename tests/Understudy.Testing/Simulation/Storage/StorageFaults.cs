namespace Understudy.Testing.Simulation.Storage;

/// <summary>What goes wrong on a disk at the moment, as chances for each operation. The fault plan turns it up and down.</summary>
public sealed class StorageFaults
{
    public double ReadError { get; set; }

    public double WriteError { get; set; }

    public double FlushFailure { get; set; }

    /// <summary>Growing a file fails, whatever the capacity.</summary>
    public bool Full { get; set; }

    /// <summary>The chance that an operation takes <see cref="StallTime"/> instead of its usual time.</summary>
    public double Stall { get; set; }

    public TimeSpan StallTime { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Nothing is wrong with it now.</summary>
    public bool IsClear => ReadError == 0 && WriteError == 0 && FlushFailure == 0 && !Full && Stall == 0;

    public void Clear() => (ReadError, WriteError, FlushFailure, Full, Stall) = (0, 0, 0, false, 0);
}

/// <summary>How often each thing happened on a disk.</summary>
public sealed class StorageCounters
{
    public long Operations { get; internal set; }

    public long ReadErrors { get; internal set; }

    public long WriteErrors { get; internal set; }

    /// <summary>Failed writes that left a part of their data behind.</summary>
    public long TornWrites { get; internal set; }

    public long FlushFailures { get; internal set; }

    public long FullErrors { get; internal set; }

    public long Stalls { get; internal set; }

    public long PowerLosses { get; internal set; }
}

internal enum DiskOperation
{
    Read,
    Write,
    Flush,
    Names,
}
