using Understudy.Model;

namespace Understudy.Plans;

/// <summary>All that decides whether a command is lawful.</summary>
public sealed record VmSituation
{
    public required string Vm { get; init; }

    public required ProtectionState State { get; init; }

    /// <summary>Name of the host with the replica; null while there is none.</summary>
    public string? Target { get; init; }

    /// <summary>At least one recovery point is listed.</summary>
    public bool HasPoints { get; init; }

    /// <summary>Tests that stand now.</summary>
    public int Tests { get; init; }

    /// <summary>Branches kept at the target.</summary>
    public int TargetBranches { get; init; }

    /// <summary>Old disks kept at a source.</summary>
    public int SourceBranches { get; init; }

    /// <summary>Points and branches mounted on a host.</summary>
    public int Mounts { get; init; }

    /// <summary>Points and branches attached to a VM.</summary>
    public int Attached { get; init; }

    /// <summary>Who paused replication.</summary>
    public string? PausedBy { get; init; }

    /// <summary>The source lets nobody start the VM.</summary>
    public bool Fenced { get; init; }

    /// <summary>The target's record says that the VM is its own.</summary>
    public bool OwnedAtTarget { get; init; }

    /// <summary>Both records say that the VM is its source's own: after a failover that was committed a human has claimed it there.</summary>
    public bool OwnedAtSource { get; init; }

    /// <summary>The source has heard of a newer line than the target's last report has: it was failed over there without the vault.</summary>
    public bool Overtaken { get; init; }

    /// <summary>The target is in the middle of starting it.</summary>
    public bool StartsAtTarget { get; init; }

    /// <summary>Why the last merge of a commit has not been made yet; null when it has.</summary>
    public string? MergeWaits { get; init; }
}

/// <summary>What a command leads to in a situation.</summary>
public abstract record Decision
{
    private Decision()
    {
    }

    /// <param name="Steps">Of the job that carries it out, in order.</param>
    public sealed record Go(JobAction Action, IReadOnlyList<StepKind> Steps) : Decision;

    public sealed record Refuse(ErrorInfo Error) : Decision;
}
