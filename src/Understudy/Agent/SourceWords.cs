using System.Diagnostics;
using Understudy.Model;
using Understudy.Protection.Source;
using SourcePhase = Understudy.Model.SourcePhase;

namespace Understudy.Agent;

/// <summary>A source engine's status in the control plane's words.</summary>
internal static class SourceWords
{
    public static SourceReport Report(SourceVm source, SourceOrder order, VmPower power)
    {
        SourceStatus s = source.Status;
        return new SourceReport(
            source.Spec.Vm,
            source.Spec.Replica,
            PhaseOf(s.Phase),
            power,
            s.CopyDoneBytes,
            s.CopyTotalBytes,
            s.CopyBytesPerSecond,
            s.BytesBehind,
            s.LastPoint is { } point ? new RecoveryPointInfo(point.Id, point.CutAt, PointKind.CrashConsistent, null) : null,
            s.NextCutAt,
            s.LastCycleDuration,
            s.CyclesMade,
            s.CyclesMissed,
            s.CyclesFailed,
            s.AverageCycleBytes,
            s.LargestCycleBytes,
            s.TargetFull,
            ErrorOf(s, order));
    }

    /// <summary>Why replication does not go on; a wait for the VM to run is a state of the VM, not an error.</summary>
    private static ErrorInfo? ErrorOf(SourceStatus status, SourceOrder order) => status switch
    {
        { Fault: { } fault } => new ErrorInfo(
            ErrorKind.Failed, CodeOf(status.Wait), fault.What.TrimEnd('.'), $"Replication to {order.Endpoint} is {WordOf(status.Wait)}; it goes on by itself.",
            fault.Remedy ?? "See the agent's log."),
        { DisksLeftOut: { } disks } => new ErrorInfo(
            ErrorKind.Failed, "disk-not-protected", disks.TrimEnd('.'), "The other disks are replicated, these are in no recovery point.",
            "Exclude them by name if that is wanted, or mend what is said of them."),
        { Warning: { } warning } => new ErrorInfo(
            ErrorKind.Failed, "link-too-slow", warning.TrimEnd('.'), "Changes come faster than the link carries them.", "Choose a longer frequency, or a faster link."),
        _ => null,
    };

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
        SourceWait.VmToRun => "waiting for the VM to run",
        SourceWait.Hypervisor => "waiting for the hypervisor",
        SourceWait.CaptureSlot => "waiting for another VM's capture",
        SourceWait.SpaceAtTarget => "waiting for space at the target",
        SourceWait.SpaceHere => "waiting for space in the spool",
        SourceWait.OwnerDecision => "waiting for a decision: the VM belongs to the other side",
        SourceWait.Target => "waiting for the target",
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
