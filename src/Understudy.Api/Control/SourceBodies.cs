using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>Source: start replicating. Asked again, it goes on with what it does.</summary>
/// <param name="Endpoint">Where the target listens, "name:port".</param>
/// <param name="Target">The only host whose certificate may receive.</param>
/// <param name="ExcludedDisks">By their device at the guest, e.g. "vdb"; null means none.</param>
/// <param name="StartAt">When the first copy begins; null means now.</param>
/// <param name="TargetDials">The target's agent dials this one (REG-3); otherwise this one dials <paramref name="Endpoint"/>.</param>
public sealed record SourceProtectRequest(
    VmId Vm,
    ReplicaId Replica,
    LineId Line,
    HostId Target,
    string Endpoint,
    SourceSettings Settings,
    IReadOnlyList<string>? ExcludedDisks = null,
    DateTimeOffset? StartAt = null,
    bool TargetDials = false);

/// <summary>Source: who dials from now on. What is under way goes on over the next connection.</summary>
/// <param name="Endpoint">Where the target listens, where it is this side that dials.</param>
public sealed record SourceLinkRequest(VmId Vm, ReplicaId Replica, string Endpoint, bool TargetDials);

/// <param name="GuardStartsAfter">After a boot at which nobody answers, the VM may be started when this has passed; null: held.</param>
/// <param name="IsolatedSource">What happens to the running copy here at first contact with a newer line.</param>
public sealed record SourceSettings(
    TimeSpan Frequency,
    bool Compression,
    TimeSpan? GuardStartsAfter = null,
    IsolatedSourceAction IsolatedSource = IsolatedSourceAction.Pause);

public sealed record SourceConfigureRequest(VmId Vm, SourceSettings Settings);

/// <summary>Source: which disks take part (CFG-9). Taken up with the next cut; the other disks are not copied again.</summary>
public sealed record SourceDisksRequest(VmId Vm, ReplicaId Replica, IReadOnlyList<string> Excluded);

/// <summary>Source: cut a cycle now. Answered when the target has acknowledged its point.</summary>
/// <param name="Kind"><see cref="PointKind.CrashConsistent"/> or <see cref="PointKind.Bookmark"/>.</param>
/// <param name="Label">Kept with the point.</param>
public sealed record SourceCycleRequest(VmId Vm, ReplicaId Replica, PointKind Kind, string? Label = null);

public sealed record PointMade(RecoveryPointInfo Point);

/// <summary>Source: cut no more until resumed, also after a restart; what was cut still travels.</summary>
/// <param name="By">Who asked, for the state's words.</param>
public sealed record SourcePauseRequest(VmId Vm, ReplicaId Replica, string By);

public sealed record SourceResumeRequest(VmId Vm, ReplicaId Replica);

/// <summary>Source: read all disks again through the journal; every listed point stays good.</summary>
public sealed record SourceResyncRequest(VmId Vm, ReplicaId Replica);

/// <summary>Source: let nobody start the VM from now on. The running guest is left alone.</summary>
public sealed record SourceFenceRequest(VmId Vm, ReplicaId Replica, string Reason);

/// <summary>Source: undo a fence while the VM still is owned here.</summary>
/// <param name="Start">Start the VM when it is off.</param>
public sealed record SourceUnfenceRequest(VmId Vm, ReplicaId Replica, bool Start);

/// <summary>Source: shut the fenced guest down in order; asked again each 10 s.</summary>
/// <param name="PowerOff">As if the plug were pulled.</param>
/// <param name="Timeout">At its end the answer says that the guest still runs; that is no error.</param>
public sealed record SourceStopGuestRequest(VmId Vm, ReplicaId Replica, bool PowerOff, TimeSpan Timeout);

/// <param name="Waited">From the first request to the guest off, or to the end of the time.</param>
/// <param name="PoweredOff">It is off because its plug was pulled, and did not shut down itself.</param>
public sealed record GuestStopped(bool Off, TimeSpan Waited, bool PoweredOff = false);

/// <summary>Source: send what changed since the last point, from the disks of the fenced VM that is off.</summary>
/// <param name="Kind"><see cref="PointKind.Planned"/>.</param>
/// <param name="Label">Kept with the point. Where nobody gives one, the agent labels a point whose guest it knows not to have shut down.</param>
public sealed record SourceLastChangeRequest(VmId Vm, ReplicaId Replica, PointKind Kind, string? Label = null);

/// <summary>Source: give the VM away. From here on only <paramref name="To"/> may take it, or refuse it for good.</summary>
public sealed record SourceOfferRequest(VmId Vm, ReplicaId Replica, TransferId Transfer, HostId To);

/// <param name="Line">The line that ends with <paramref name="Point"/>.</param>
public sealed record SourceOffered(LineId Line, RecoveryPointId Point);

/// <summary>Source: the VM was taken; it runs on <paramref name="Line"/> now.</summary>
public sealed record SourceHandedOverRequest(VmId Vm, ReplicaId Replica, TransferId Transfer, LineId Line);

/// <summary>Source: the target has refused this transfer for good; the VM is owned here again.</summary>
public sealed record SourceTakeBackRequest(VmId Vm, ReplicaId Replica, TransferId Transfer, bool Start);

/// <summary>Source: the target has offered the VM back on a new line.</summary>
/// <param name="Parent">The point the line begins at.</param>
/// <param name="Start">Run it: start it when it is off, resume it when it is paused.</param>
public sealed record SourceAcceptRequest(VmId Vm, ReplicaId Replica, TransferId Transfer, LineId Line, RecoveryPointId Parent, bool Start);

/// <summary>Source: the VM is owned elsewhere on a newer line. Told twice, it is done once.</summary>
public sealed record SourceDeposeRequest(VmId Vm, ReplicaId Replica, LineId Line, DateTimeOffset MintedAt, IsolatedSourceAction Action);

/// <summary>Source: after a boot, whether the VM still is owned here.</summary>
/// <param name="Line">The newest line that is known elsewhere.</param>
/// <param name="MintedAt">When that began, as far as is known there.</param>
public sealed record SourceRevalidateRequest(VmId Vm, ReplicaId Replica, LineId Line, DateTimeOffset MintedAt, bool Valid);

/// <summary>Source: delete old disks that are kept as a branch, with the VM that has them; asked for by name only.</summary>
public sealed record SourceBranchDeleteRequest(VmId Vm, ReplicaId Replica, BranchId Branch);

/// <summary>Source: stop replicating and remove all that is ours: tracking, spool, state. The VM itself stays.</summary>
/// <param name="KeepGuard">The VM stays at the target for good: the old one here stays blocked and listed as a branch.</param>
/// <param name="Line">The line that owns it there. A source that was away has not heard of it, and nobody else will tell it.</param>
/// <param name="MintedAt">When that line was minted.</param>
public sealed record SourceUnprotectRequest(VmId Vm, ReplicaId Replica, bool KeepGuard = false, LineId? Line = null, DateTimeOffset? MintedAt = null);
