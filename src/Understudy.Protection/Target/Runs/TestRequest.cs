using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Target.Runs;

/// <summary>An order to start a test failover.</summary>
/// <param name="Id">The same id again is the same test, whatever else is asked.</param>
/// <param name="VmName">The name wanted for the copy; the next free <c>-test-N</c> when it is taken.</param>
/// <param name="Network">Where cards go that <paramref name="Cards"/> does not name.</param>
public sealed record TestRequest(Guid Id, RecoveryPointId Point, string VmName, TestNetworkKind Network, IReadOnlyList<TestCard> Cards)
{
    /// <summary>Its state instead of the point's own; the point is the one that it stands on.</summary>
    public BranchId? Branch { get; init; }

    public VmSize Size { get; init; } = VmSize.AsInPoint;

    public string? Label { get; init; }
}

/// <param name="Network">A network that was there before; null, outside of the bubble, leaves the card out.</param>
/// <param name="NewMac">Null: kept in the bubble, a new one elsewhere.</param>
public sealed record TestCard(string Mac, string? Network, bool InBubble, string? NewMac = null);

/// <param name="Made">What stands on the host because of it, one line each.</param>
public sealed record TestStarted(string VmName, string? Network, IReadOnlyList<string> Made, IReadOnlyList<string> Notes);

/// <param name="Kept">What still stands, with the reason.</param>
/// <param name="VmStays">The VM itself is among it: it was failed over to here and committed.</param>
public sealed record RemovedThings(IReadOnlyList<string> Gone, IReadOnlyList<string> Kept, bool VmStays = false)
{
    public static RemovedThings Nothing { get; } = new([], []);
}

/// <summary>An order to make the VM run here from a point. Asked again for the same point, it goes on or says what stands.</summary>
public sealed record FailoverRequest(RecoveryPointId Point, string VmName, IReadOnlyList<CardPlan> Cards)
{
    /// <summary>The hand-over to accept: its point is <see cref="Point"/>. Null: unplanned, the VM is claimed.</summary>
    public TransferId? Transfer { get; init; }

    /// <summary>The test that becomes this failover.</summary>
    public Guid? FromTest { get; init; }

    public VmSize Size { get; init; } = VmSize.AsInPoint;

    /// <summary>How long what ran and lost is kept.</summary>
    public int BranchDays { get; init; } = 7;

    public string? Label { get; init; }
}

/// <param name="Branch">What was kept on the way.</param>
public sealed record FailoverStarted(LineId Line, string VmName, IReadOnlyList<string> Made, IReadOnlyList<string> Notes, BranchId? Branch);

/// <summary>An order to go on from another point.</summary>
/// <param name="Cards">Those that become others; null, as a card that is not named: as it is. Likewise name and size.</param>
/// <param name="Cpus">Zero: as in the point. Likewise the memory.</param>
public sealed record ChangePointOrder(
    RecoveryPointId Point,
    int BranchDays,
    string? Label = null,
    string? VmName = null,
    IReadOnlyList<CardPlan>? Cards = null,
    int? Cpus = null,
    long? MemoryBytes = null);

/// <param name="To">Who may accept: the VM's source.</param>
public sealed record CancelOrder(TransferId Transfer, Guid To, int BranchDays);

/// <param name="Line">What the source goes on with.</param>
/// <param name="Parent">The point it goes on from.</param>
/// <param name="Branch">What ran here; null when it had not begun to.</param>
public sealed record FailoverCancelled(LineId Line, RecoveryPointId Parent, BranchId? Branch);

/// <param name="Images">Where the VM's disks are now.</param>
/// <param name="Pending">What the commit waits for; null when the VM stands on one ordinary image a disk.</param>
public sealed record CommitOutcome(IReadOnlyList<string> Images, string? Pending);
