using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>What happened at a source, on its way to the vault. Set once the link exists; nothing happens before.</summary>
internal sealed class SourceNews : ISourceEvents
{
    public VaultLink? Link { get; set; }

    public void Raise(SourceEvent happened) => Link?.Post(new AgentEvent(
        happened.At, SeverityOf(happened.Kind), KindOf(happened.Kind), happened.Vm,
        happened.Remedy is null ? happened.What : $"{happened.What.TrimEnd('.')}. {happened.Remedy}"));

    private static HealthLevel SeverityOf(SourceEventKind kind) => kind switch
    {
        SourceEventKind.FirstPoint or SourceEventKind.LinkBack or SourceEventKind.ResynchronisationDone
            or SourceEventKind.DisksChanged or SourceEventKind.DiskJoined => HealthLevel.Normal,
        SourceEventKind.TargetFull or SourceEventKind.Deposed or SourceEventKind.StartedAnyway
            or SourceEventKind.StartedUnasked or SourceEventKind.Claimed => HealthLevel.Critical,
        _ => HealthLevel.Warning,
    };

    private static string KindOf(SourceEventKind kind) => kind switch
    {
        SourceEventKind.FirstPoint => "first-point",
        SourceEventKind.ResynchronisationStarted => "resynchronisation-started",
        SourceEventKind.ResynchronisationDone => "resynchronisation-done",
        SourceEventKind.CycleGivenUp => "cycle-given-up",
        SourceEventKind.LinkLost => "link-lost",
        SourceEventKind.LinkBack => "link-back",
        SourceEventKind.TargetFull => "target-full",
        SourceEventKind.OwnedElsewhere => "owned-elsewhere",
        SourceEventKind.DisksChanged => "disks-changed",
        SourceEventKind.DiskNotProtected => "disk-not-protected",
        SourceEventKind.DiskJoined => "disk-joined",
        SourceEventKind.Deposed => "deposed",
        SourceEventKind.StartedAnyway => "started-anyway",
        SourceEventKind.Claimed => "claimed",
        SourceEventKind.StartedUnasked => "started-unasked",
        _ => throw new System.Diagnostics.UnreachableException($"event {kind}"),
    };
}
