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

    public void Set(VmId vm, SourceReport report, DateTimeOffset now, Policy policy) => Change(vm, before => before.With(report, now, policy));

    public void Set(VmId vm, TargetReport report) => Change(vm, before => before.With(report));

    public void Forget(VmId vm) => _reports.TryRemove(vm, out _);

    /// <summary>The other side's report may come at the same time; neither is lost.</summary>
    private void Change(VmId vm, Func<VmReports, VmReports> change) => _reports.AddOrUpdate(vm, _ => change(VmReports.None), (_, before) => change(before));
}

internal sealed record VmReports(SourceReport? Source, TargetReport? Target, RpoWatch? Watch)
{
    public static VmReports None { get; } = new(null, null, null);

    public bool HasPoints => Target is { PointCount: > 0 } || Source?.LastPoint is not null;

    public VmReports With(SourceReport report, DateTimeOffset now, Policy policy) => this with
    {
        Source = report,
        Watch = report.LastPoint is { } point ? RpoWatch.Observe(Watch, now, point.CutAt, policy) : Watch,
    };

    public VmReports With(TargetReport report) => this with { Target = report };

    /// <summary>Newest point the target holds, as far as either side knows.</summary>
    public RecoveryPointInfo? Newest => Target?.Newest is { } target && (Source?.LastPoint is not { } source || target.CutAt >= source.CutAt)
        ? target
        : Source?.LastPoint;
}
