using Understudy.Model;
using Understudy.Plans;
using Understudy.Vault.Protection;

namespace Understudy.Vault.Agents;

internal sealed record News(HealthLevel Severity, string Kind, string Text);

/// <summary>What between two reports somebody may want to know later. Pure.</summary>
internal static class ReportChanges
{
    /// <summary>Kind of the news that replication does not go on.</summary>
    public const string Stopped = "replication-stopped";
    public const string TwoOwners = "two-owners";

    /// <param name="isClaim">The source has it by a claim of which nobody was told yet.</param>
    public static IEnumerable<News> Between(string vm, VmReports before, VmReports now, bool isClaim)
    {
        if (now.Source?.Error is { } error && before.Source?.Error?.Code != error.Code)
        {
            yield return new News(HealthLevel.Warning, Stopped, $"{vm}: {error}");
        }
        else if (now.Source is { Error: null, Ownership.State: OwnershipState.Here } && before.Source?.Error is not null)
        {
            yield return new News(HealthLevel.Normal, "replication-resumed", $"{vm} is being replicated again.");
        }

        if (now.Target?.Seed is { Taken: true } seed && before.Target?.Seed is { Taken: false })
        {
            yield return new News(seed.Remarks.Count == 0 ? HealthLevel.Normal : HealthLevel.Warning, "seed-read",
                $"{vm}: the seed has been read at the target ({Sizes.Format(seed.BytesDone)}); what differs is sent.{string.Concat(seed.Remarks.Select(remark => " " + remark))}");
        }

        if (now.Source?.Deposed is { } deposed && before.Source?.Deposed?.Line != deposed.Line)
        {
            yield return new News(HealthLevel.Critical, "source-deposed", Deposed(vm, deposed));
        }

        if (isClaim)
        {
            yield return new News(HealthLevel.Critical, TwoOwners,
                $"{vm} was claimed at its source (line {now.Source?.Ownership?.Line}) while it belongs to its target (line {now.Target?.Ownership?.Line}). "
                + "The newer line stands; see that only one of the two runs.");
        }
    }

    /// <summary>The other way round, a newer line at the target, is every unplanned failover until its source has heard of it.</summary>
    public static bool IsClaimed(VmReports reports) =>
        Reunion.IsContested(reports.Source?.Ownership, reports.Target?.Ownership)
        && reports.Source!.Ownership!.Line.IsNewerThan(reports.Target!.Ownership!.Line); // both are there: they are contested

    private static string Deposed(string vm, DeposedInfo deposed) => deposed.StoppedAt is { } stopped
        ? $"{vm} still ran at its source after it had been taken over (line {deposed.Line}). Both copies {(deposed.Action == IsolatedSourceAction.CutNics ? "were on the network" : "ran")} for at most "
            + $"{Durations.Rough(stopped > deposed.MintedAt ? stopped - deposed.MintedAt : TimeSpan.Zero)} by the two hosts' clocks; "
            + (deposed.Action == IsolatedSourceAction.CutNics
                ? "the old one's network was cut, and it runs on there for whoever has to look into it: shut it down then. Its disks are kept as a branch."
                : $"the old one was stopped ({deposed.Action.Word()}) and is kept as a branch.")
        : $"The source of {vm} has learned that the VM was taken over (line {deposed.Line}); its copy was off. Its disks are kept as a branch.";
}

/// <summary>What the agents did without this vault, or while it was away (FO-8).</summary>
internal static class Takeover
{
    public static News? Say(ProtectionStage before, ProtectionStage now, string vm, TargetReport report) => (before, now) switch
    {
        (_, ProtectionStage.CommitPending) => new News(HealthLevel.Warning, "failover-found",
            $"{vm} was failed over without this vault{Since(report)}; it has been taken over as it is and waits for commit."),
        (_, ProtectionStage.FailedOver) => new News(HealthLevel.Warning, "commit-found", $"The failover of {vm} was committed without this vault."),
        (ProtectionStage.CommitPending, ProtectionStage.Replicating) => new News(HealthLevel.Warning, "cancel-found",
            $"The failover of {vm} was cancelled without this vault; the VM goes back to its source."),
        _ => null,
    };

    private static string Since(TargetReport report) => report.Failover is { } failover
        ? $" at {failover.StartedAt:yyyy-MM-dd HH:mm:ss} UTC ({failover.Kind.Word()}, from point {failover.Point})"
        : "";
}
