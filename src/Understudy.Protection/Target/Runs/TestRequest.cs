using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Runs;

/// <summary>An order to start a test failover.</summary>
/// <param name="Id">The same id again is the same test, whatever else is asked.</param>
/// <param name="VmName">The name wanted for the copy; the next free <c>-test-N</c> when it is taken.</param>
/// <param name="Cards">For <see cref="TestNetworkKind.Chosen"/>: cards without a network are in the bubble.</param>
public sealed record TestRequest(Guid Id, RecoveryPointId Point, string VmName, TestNetworkKind Network, IReadOnlyList<CardPlan> Cards);

/// <param name="Made">What stands on the host because of it, one line each.</param>
public sealed record TestStarted(string VmName, string? Network, IReadOnlyList<string> Made, IReadOnlyList<string> Notes);

/// <param name="Kept">What still stands, with the reason.</param>
public sealed record RemovedThings(IReadOnlyList<string> Gone, IReadOnlyList<string> Kept)
{
    public static RemovedThings Nothing { get; } = new([], []);
}

/// <summary>An order to make the VM run here from a point. Asked again for the same point, it goes on or says what stands.</summary>
public sealed record FailoverRequest(RecoveryPointId Point, string VmName, IReadOnlyList<CardPlan> Cards);

public sealed record FailoverStarted(LineId Line, string VmName, IReadOnlyList<string> Made, IReadOnlyList<string> Notes);

/// <param name="Images">Where the VM's disks are now.</param>
/// <param name="Pending">What the commit waits for; null when the VM stands on one ordinary image a disk.</param>
public sealed record CommitOutcome(IReadOnlyList<string> Images, string? Pending);
