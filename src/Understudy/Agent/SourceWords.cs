using System.Diagnostics;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source;
using Understudy.Protection.Source.Guest;
using SourcePhase = Understudy.Model.SourcePhase;

namespace Understudy.Agent;

/// <summary>What stands at a source, in the control plane's words.</summary>
internal static class SourceWords
{
    public static SourceReport Report(SourceHost source, SourceOrder order, VmPower power, Func<string, long> sizeOf)
    {
        SourceStatus s = source.Engine.Status;
        OwnershipRecord owned = source.Ownership.Record;
        return new SourceReport(
            source.Spec.Vm,
            source.Spec.Replica,
            PhaseOf(s.Phase),
            power,
            s.CopyDoneBytes,
            s.CopyTotalBytes,
            s.CopyBytesPerSecond,
            s.BytesBehind,
            s.LastPoint is { } point ? Of(point) : null,
            s.NextCutAt ?? (s.Wait == SourceWait.StartTime ? order.Policy.StartAt : null),
            s.LastCycleDuration,
            s.CyclesMade,
            s.CyclesMissed,
            s.CyclesFailed,
            s.AverageCycleBytes,
            s.LargestCycleBytes,
            s.TargetFull,
            ErrorOf(s, order) ?? ErrorOf(source.Guest.Fault),
            s.Warning,
            PausedBy: s.PausedBy,
            Fenced: owned.State is not Protection.Ownership.OwnershipState.Here { Fence: null },
            Ownership: Reports.Of(owned, isValidated: owned.State is not Protection.Ownership.OwnershipState.Here here || here.Boot == source.Ownership.Boot),
            Deposed: source.Guest.Deposed is { Settled: true } deposed // Before that nobody knows whether its copy ran, and until when.
                ? new DeposedInfo(deposed.Line, deposed.MintedAt, deposed.StoppedAt, ActionOf(deposed.Action))
                : null,
            Branches: source.Kept is { } kept ? [Of(kept, sizeOf)] : null,
            Disks: [.. s.Disks.Select(disk => new DiskProgress(disk.TargetDevice, disk.SizeBytes, disk.CopiedBytes, disk.SizeBytes))],
            ExcludedDisks: order.ExcludedDisks.Count > 0 ? order.ExcludedDisks : null);
    }

    /// <summary>Of a source whose VM stays at the other side for good: nothing is replicated, the old disks are listed.</summary>
    public static SourceReport Report(RetiredSource retired, Func<string, long> sizeOf) => new(
        retired.Ownership.Vm, retired.Ownership.Replica, SourcePhase.Protected, VmPower.Off, 0, 0, 0, 0, null, null, null, 0, 0, 0, 0, 0, false, null,
        Fenced: true,
        Ownership: Reports.Of(retired.Ownership, isValidated: true),
        Branches: [Of(retired.Kept, sizeOf)]);

    public static RecoveryPointInfo Of(SourcePoint point) => new(point.Id, point.CutAt, Reports.KindOf(point.Kind), point.Label);

    /// <summary>Null when the vault did not know.</summary>
    public static NewerLine? OwnerOf(SourceUnprotectRequest request) =>
        request is { Line: { } line, MintedAt: { } mintedAt } ? new NewerLine(line, mintedAt) : null;

    public static DeposedAction ActionOf(IsolatedSourceAction action) => action switch
    {
        IsolatedSourceAction.Pause => DeposedAction.Pause,
        IsolatedSourceAction.ShutDown => DeposedAction.ShutDown,
        IsolatedSourceAction.CutNics => DeposedAction.CutNics,
        _ => throw new UnreachableException($"action {action}"),
    };

    private static IsolatedSourceAction ActionOf(DeposedAction action) => action switch
    {
        DeposedAction.Pause => IsolatedSourceAction.Pause,
        DeposedAction.ShutDown => IsolatedSourceAction.ShutDown,
        DeposedAction.CutNics => IsolatedSourceAction.CutNics,
        _ => throw new UnreachableException($"action {action}"),
    };

    private static BranchInfo Of(KeptDisks kept, Func<string, long> sizeOf) => new(
        kept.Branch, kept.IsRetired ? BranchKind.RetiredSource : BranchKind.DeposedSource, kept.Lost, null, kept.Since, null, kept.Disks.Sum(sizeOf), kept.Disks, []);

    private static ErrorInfo? ErrorOf(string? guestFault) => guestFault is null ? null : new ErrorInfo(
        ErrorKind.Failed, "agent-retrying", guestFault.TrimEnd('.'), "The VM here is not yet running, stopped or blocked as it has to be; it is tried again by itself.", "See the agent's log, and that libvirtd runs.");

    /// <summary>Why replication does not go on; a wait for the VM to run is a state of the VM, not an error.</summary>
    private static ErrorInfo? ErrorOf(SourceStatus status, SourceOrder order) => status switch
    {
        { Fault: { } fault } => new ErrorInfo(
            ErrorKind.Failed, CodeOf(fault.Wait), fault.What.TrimEnd('.'), $"Replication to {order.Endpoint} is {WordOf(fault.Wait)}; it goes on by itself.",
            fault.Remedy ?? "See the agent's log."),
        { DisksLeftOut: { } disks } => new ErrorInfo(
            ErrorKind.Failed, "disk-not-protected", disks.TrimEnd('.'), "The other disks are replicated, these are in no recovery point.",
            "Exclude them by name if that is wanted, or mend what is said of them."),
        _ => null,
    };

    /// <summary>Of the fault, which stands while it is looked whether it is over: another code would be another event.</summary>
    private static string CodeOf(SourceWait wait) => wait switch
    {
        SourceWait.Link => "link-lost",
        SourceWait.SpaceAtTarget => "target-full",
        SourceWait.SpaceHere => "spool-full",
        SourceWait.Hypervisor => "hypervisor-unreachable",
        SourceWait.OwnerDecision => "owned-elsewhere",
        _ => "source-retrying",
    };

    private static string WordOf(SourceWait wait) => wait switch
    {
        SourceWait.None or SourceWait.NextCycle => "going on",
        SourceWait.Link => "waiting for the link",
        SourceWait.StartTime => "waiting for the time at which the first copy begins",
        SourceWait.Sums => "waiting for the target to read what it holds",
        SourceWait.VmToRun => "waiting for the VM to run",
        SourceWait.Hypervisor => "waiting for the hypervisor",
        SourceWait.CaptureSlot => "waiting for another VM's capture",
        SourceWait.SpaceAtTarget => "waiting for space at the target",
        SourceWait.SpaceHere => "waiting for space in the spool",
        SourceWait.OwnerDecision => "waiting: the VM belongs to the other side",
        SourceWait.Target => "waiting for the target",
        SourceWait.Resume => "paused",
        _ => throw new UnreachableException($"wait {wait}"),
    };

    private static SourcePhase PhaseOf(Protection.Source.SourcePhase phase) => phase switch
    {
        Protection.Source.SourcePhase.Preparing or Protection.Source.SourcePhase.FirstCopy => SourcePhase.FirstCopy,
        Protection.Source.SourcePhase.Protected => SourcePhase.Protected,
        Protection.Source.SourcePhase.Resynchronising => SourcePhase.Resynchronising,
        _ => throw new UnreachableException($"phase {phase}"),
    };
}
