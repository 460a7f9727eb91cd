using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>Target: start a copy of the VM from a point; it takes no part in replication and changes nothing of it.</summary>
/// <param name="Branch">Its state instead, which stays as it is; <paramref name="Point"/> then is the point it stands on.</param>
/// <param name="Isolated">NICs that are not named are on a network made for this test; without it they are refused.</param>
public sealed record TestStartRequest(
    VmId Vm,
    ReplicaId Replica,
    TestId Test,
    RecoveryPointId Point,
    string VmName,
    bool Isolated,
    IReadOnlyList<TestNic> Nics,
    BranchId? Branch = null,
    string? Label = null,
    int? Cpus = null,
    long? MemoryBytes = null);

/// <param name="Made">What stands on the host because of it, one line each.</param>
/// <param name="Notes">What the user should know, e.g. a part of the definition that could not be kept.</param>
public sealed record TestStarted(string VmName, string? Network, IReadOnlyList<string> Made, IReadOnlyList<string>? Notes = null);

/// <summary>Target: remove all that the test made. Asked for a test that is gone, it says so and that is fine.</summary>
/// <param name="Note">What the user left; kept with the test's record.</param>
public sealed record TestCompleteRequest(ReplicaId Replica, TestId Test, string? Note = null);

/// <param name="Kept">What still stands, with the reason; empty when nothing does.</param>
/// <param name="VmStays">A replica: the VM itself stays at its target, where it was failed over to and committed.</param>
public sealed record Removed(IReadOnlyList<string> Gone, IReadOnlyList<string> Kept, bool VmStays = false);

/// <summary>Target: make the VM run here from a point. A new line begins; the old source is refused from now on.</summary>
/// <param name="Transfer">Planned: the hand-over to accept. Its point must be <paramref name="Point"/> and the newest here. Null: unplanned.</param>
/// <param name="FromTest">The test that becomes this failover: its VM is ended and what it wrote is kept as a branch.</param>
/// <param name="BranchDays">How long such a branch is kept.</param>
/// <param name="Cpus">Null: as in the point. Likewise the memory.</param>
public sealed record FailoverStartRequest(
    VmId Vm,
    ReplicaId Replica,
    RecoveryPointId Point,
    string VmName,
    IReadOnlyList<NicPlan> Nics,
    TransferId? Transfer = null,
    TestId? FromTest = null,
    int BranchDays = BranchRules.DefaultDays,
    string? Label = null,
    int? Cpus = null,
    long? MemoryBytes = null);

/// <param name="Notes">As in <see cref="TestStarted"/>.</param>
/// <param name="Branch">What was kept on the way.</param>
public sealed record FailoverStarted(
    LineId Line,
    string VmName,
    IReadOnlyList<string> Made,
    IReadOnlyList<string>? Notes = null,
    BranchId? Branch = null);

/// <summary>Target: never accept this transfer, also when it is asked to later. Refused where it was accepted already.</summary>
public sealed record TransferRefuseRequest(ReplicaId Replica, TransferId Transfer);

/// <summary>Target: run the VM from another point instead; what ran is kept as a branch. Only before commit.</summary>
/// <param name="Nics">Those that become others; null, as a NIC that is not named: as it is. Likewise CPUs, memory and name.</param>
/// <param name="Cpus">Zero: as in the point. Likewise the memory.</param>
public sealed record ChangePointRequest(
    VmId Vm,
    ReplicaId Replica,
    RecoveryPointId Point,
    int BranchDays,
    string? Label = null,
    IReadOnlyList<NicPlan>? Nics = null,
    int? Cpus = null,
    long? MemoryBytes = null,
    string? VmName = null);

/// <summary>Target: end the VM here, keep what ran as a branch and offer the VM back on a new line. Only before commit.</summary>
/// <param name="Source">Who may accept.</param>
/// <param name="Start">The source shall run it again when it accepts.</param>
public sealed record FailoverCancelRequest(VmId Vm, ReplicaId Replica, TransferId Transfer, HostId Source, int BranchDays, bool Start);

/// <param name="Parent">The point <paramref name="Line"/> begins at.</param>
public sealed record FailoverCancelled(LineId Line, RecoveryPointId Parent, BranchId? Branch);

/// <summary>Target: the source has accepted.</summary>
public sealed record TransferSettledRequest(ReplicaId Replica, TransferId Transfer);

/// <summary>Target: after a boot, whether the VM that was failed over still is owned here.</summary>
/// <param name="Line">The newest line that is known of its source.</param>
public sealed record TargetRevalidateRequest(ReplicaId Replica, LineId Line, bool Valid);

/// <summary>Target: make the failover final; the VM runs on and ends on ordinary images.</summary>
public sealed record CommitRequest(VmId Vm, ReplicaId Replica);

/// <param name="Images">Where the VM's disks are now.</param>
/// <param name="Pending">Why the last merge waits; null when the VM stands on one image a disk.</param>
public sealed record Committed(IReadOnlyList<string> Images, string? Pending);
