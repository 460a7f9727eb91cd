using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Protection.Source;

namespace Understudy.Agent;

/// <summary>What happened at a source, on its way to the vault. Set once the link exists; nothing happens before.</summary>
internal sealed class SourceNews : ISourceEvents
{
    public VaultLink? Link { get; set; }

    public void Raise(SourceEvent happened)
    {
        if (IsInReports(happened.Kind))
        {
            return;
        }

        Link?.Post(new AgentEvent(
            happened.At, SeverityOf(happened.Kind), KindOf(happened.Kind), happened.Vm,
            happened.Remedy is null ? happened.What : $"{happened.What.TrimEnd('.')}. {happened.Remedy}"));
    }

    /// <summary>The reports of the VM say these too, also after an outage of the vault, and the vault makes the event of them: one, not two.</summary>
    private static bool IsInReports(SourceEventKind kind) =>
        kind is SourceEventKind.LinkLost or SourceEventKind.LinkBack or SourceEventKind.Deposed or SourceEventKind.OwnedElsewhere;

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
        SourceEventKind.KeptAtEnd => "kept-at-end",
        _ => throw new System.Diagnostics.UnreachableException($"event {kind}"),
    };
}
