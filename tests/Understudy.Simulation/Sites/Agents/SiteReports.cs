using Understudy.Model;
using Understudy.Protection.Source;
using SourcePhase = Understudy.Model.SourcePhase;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>What an agent tells the vault, as far as the vault decides by it.</summary>
internal static class SiteReports
{
    public static IEnumerable<TargetReport> Targets(SiteAgent agent) => [.. agent.Target.Hosts.Select(agent.Target.ReportOf)];

    public static IEnumerable<SourceReport> Sources(SiteAgent agent) => [.. agent.Source.Sources.Select(Of)];

    private static SourceReport Of(SourceVm source)
    {
        SourceStatus status = source.Status;
        return new SourceReport(
            source.Spec.Vm,
            source.Spec.Replica,
            status.Phase switch
            {
                Protection.Source.SourcePhase.Preparing or Protection.Source.SourcePhase.FirstCopy => SourcePhase.FirstCopy,
                Protection.Source.SourcePhase.Protected => SourcePhase.Protected,
                _ => SourcePhase.Resynchronising,
            },
            VmPower.Running,
            0,
            0,
            0,
            0,
            status.LastPoint is { } point ? new RecoveryPointInfo(point.Id, point.CutAt, PointKind.CrashConsistent, null) : null,
            null,
            null,
            0,
            0,
            0,
            0,
            0,
            status.TargetFull,
            null);
    }
}
