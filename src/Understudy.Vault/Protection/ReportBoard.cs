using System.Collections.Concurrent;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;

namespace Understudy.Vault.Protection;

/// <summary>The newest report of each side of each VM, in memory for reading; the rows are what survives a restart.</summary>
internal sealed class ReportBoard
{
    private readonly ConcurrentDictionary<VmId, VmReports> _reports = new();

    public VmReports Get(VmId vm) => _reports.GetValueOrDefault(vm, VmReports.None);

    /// <returns>What this report changed. The other side's may come at the same time: what is told of a change is told of this one.</returns>
    public (VmReports Before, VmReports Now) Set(VmId vm, SourceReport report, DateTimeOffset now, Policy policy) =>
        Change(vm, before => Take(before, report, now, policy));

    /// <inheritdoc cref="Set(VmId, SourceReport, DateTimeOffset, Policy)"/>
    public (VmReports Before, VmReports Now) Set(VmId vm, TargetReport report) => Change(vm, before => before with { Target = report });

    public void Forget(VmId vm) => _reports.TryRemove(vm, out _);

    private (VmReports Before, VmReports Now) Change(VmId vm, Func<VmReports, VmReports> change)
    {
        while (true)
        {
            VmReports before = _reports.GetOrAdd(vm, VmReports.None);
            VmReports now = change(before);
            if (_reports.TryUpdate(vm, now, before))
            {
                return (before, now);
            }
        }
    }

    private static VmReports Take(VmReports before, SourceReport report, DateTimeOffset now, Policy policy) => before with
    {
        Source = report,
        Watch = report.LastPoint is { } point ? RpoWatch.Observe(before.Watch, now, point.CutAt, policy) : before.Watch,
    };
}

internal sealed record VmReports(SourceReport? Source, TargetReport? Target, RpoWatch? Watch)
{
    public static VmReports None { get; } = new(null, null, null);

    public bool HasPoints => Target is { PointCount: > 0 } || Source?.LastPoint is not null;

    /// <summary>Newest point the target holds, as far as either side knows.</summary>
    public RecoveryPointInfo? Newest => Target?.Newest is { } target && (Source?.LastPoint is not { } source || target.CutAt >= source.CutAt)
        ? target
        : Source?.LastPoint;
}
