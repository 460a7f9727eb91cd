using Understudy.Model;

namespace Understudy.Plans;

/// <summary>What a user can ask of a VM's protection.</summary>
public enum VmCommand
{
    Protect,
    Test,
    UnplannedFailover,
    Commit,
    Unprotect,
    Export,
}

/// <param name="Target">Name of the host with the replica; null while there is none.</param>
/// <param name="HasPoints">At least one recovery point is listed.</param>
/// <param name="Tests">Tests that stand now.</param>
public sealed record VmSituation(string Vm, ProtectionState State, string? Target, bool HasPoints, int Tests);

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
