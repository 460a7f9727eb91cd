using Understudy.Blocks.Identity;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Source;

/// <summary>What is protected, and as what.</summary>
/// <param name="Line">The line of ownership this side writes.</param>
public sealed record SourceSpec(ReplicaId Replica, VmId Vm, string VmName, LineId Line);

/// <summary>How it is protected; can be replaced at any time.</summary>
public sealed record SourcePolicy
{
    public static readonly TimeSpan ShortestFrequency = TimeSpan.FromSeconds(15);
    public static readonly TimeSpan LongestFrequency = TimeSpan.FromHours(24);

    /// <summary>From cut to cut.</summary>
    public required TimeSpan Frequency { get; init; }

    /// <summary>zstd level 1, kept where it makes a record smaller.</summary>
    public bool Compression { get; init; } = true;

    /// <summary>The first copy begins no earlier; null for at once. Of no effect once it has begun.</summary>
    public DateTimeOffset? StartAt { get; init; }

    /// <summary>By their device at the guest; taken up with the next cut.</summary>
    public IReadOnlyCollection<string> ExcludedDisks { get; init; } = [];

    /// <summary>What happens to a guest that still runs when a newer line is learnt of.</summary>
    public DeposedAction WhenDeposed { get; init; }

    /// <summary>After a boot in which nobody says whether the VM is still owned here: it is taken to be when this has passed;
    /// null waits for as long as it takes.</summary>
    public TimeSpan? StartsAfter { get; init; }

    /// <summary>Data one job of a first copy reads at most (changed blocks come on top when they are more).</summary>
    public long SliceBytes { get; init; } = 1024L * 1024 * 1024;

    /// <summary>How long such a job may read, so that the hypervisor's scratch stays small on slow storage.</summary>
    public TimeSpan SliceTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The scratch of one capture; the adapter ends the job at half of it.</summary>
    public long ScratchBytesLimit { get; init; } = 4L * 1024 * 1024 * 1024;

    public void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Frequency, ShortestFrequency);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Frequency, LongestFrequency);
        ArgumentOutOfRangeException.ThrowIfLessThan(SliceBytes, Blocks.BlockSize.Bytes);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(SliceTime, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(ScratchBytesLimit);
    }
}
