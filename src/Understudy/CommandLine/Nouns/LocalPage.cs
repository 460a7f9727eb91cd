using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>What `understudy local` shows.</summary>
internal static class LocalPage
{
    public static void Write(LocalState state, TextWriter output)
    {
        Show.Facts(
            output,
            ("host", $"{state.Name} ({state.Site}), agent {state.AgentVersion}"),
            ("proxy", state.Proxy is { } way ? $"{way.Proxy ?? "none"}{(way.OnTrial ? ", on trial" : "")}" : null),
            ("vault", state.Vault.Connected ? $"connected ({string.Join(", ", state.Vault.Urls)})" : $"away ({string.Join(", ", state.Vault.Urls)})"));
        if (state.Vault is { Connected: false, Error: { } error })
        {
            output.WriteLine($"  {error.What}. {error.Why} {error.Next} ({error.Code})");
        }

        if (state.Proxy is { Problem: { } problem })
        {
            output.WriteLine($"  {problem}");
        }

        if (state.Visibility is { } visibility)
        {
            Write(visibility, output);
        }

        output.WriteLine();
        WriteReplicas(state.Replicas, output);
        foreach (ReplicaUnavailable replica in state.Unavailable ?? [])
        {
            output.WriteLine($"  {replica.VmName ?? replica.Vm.ToString()}: {replica.Error}");
        }

        if (state.Sources.Count > 0)
        {
            output.WriteLine();
            WriteSources(state.Sources, output);
        }
    }

    public static void Write(PointsAnswer answer, TextWriter output)
    {
        Table table = new("cut at", "kind", "label", "id");
        foreach (RecoveryPointInfo point in answer.Points)
        {
            table.Row(Show.Time(point.CutAt), point.Kind.Word(), point.Label, point.Id.ToString());
        }

        table.WriteTo(output);
        foreach (BranchInfo branch in answer.Branches ?? [])
        {
            output.WriteLine($"branch {BranchName.Of(branch)}: {EnumWords<BranchKind>.Of(branch.Kind)}, {Show.Bytes(branch.Bytes)}, kept {(branch.ExpiresAt is { } until ? $"until {Show.Time(until)}" : "until it is deleted")}");
        }
    }

    /// <summary>Which VMs the vault knows of.</summary>
    public static void Write(LocalVisibility visibility, TextWriter output)
    {
        if (visibility is not { Shown: { } shown, OnlyWhileProtected: { } kept, Hidden: { } hidden })
        {
            output.WriteLine($"the vault may know of {visibility.Rule}; which VMs that are, the hypervisor does not say now");
            return;
        }

        output.WriteLine($"the vault may know of {visibility.Rule}: {(shown.Count == 0 ? "no VM" : string.Join(", ", shown))}");
        if (kept.Count > 0)
        {
            output.WriteLine($"  it also knows of {string.Join(", ", kept)}, hidden by the rule, until {(kept.Count == 1 ? "its protection ends" : "their protections end")}");
        }

        if (hidden.Count > 0)
        {
            output.WriteLine($"  hidden from it: {string.Join(", ", hidden)}");
        }
    }

    private static void WriteReplicas(IReadOnlyList<LocalReplica> replicas, TextWriter output)
    {
        Table table = new("replica of", "here as", "state", "owner", "source", "points", "newest", "tests");
        foreach (LocalReplica replica in replicas)
        {
            TargetReport report = replica.Report;
            table.Row(
                replica.VmName, replica.TargetName, EnumWords<TargetPhase>.Of(report.Phase), OwnerOf(report.Ownership), replica.SourceConnected ? "sending" : "silent",
                $"{report.PointCount}", Show.Time(report.Newest?.CutAt), string.Join(", ", replica.Tests.Select(test => test.VmName)));
        }

        table.WriteTo(output);
        foreach (LocalReplica replica in replicas)
        {
            if (replica.Report.Error is { } error)
            {
                output.WriteLine($"  {replica.VmName}: {error}");
            }
        }
    }

    private static string? OwnerOf(OwnershipInfo? ownership) => ownership is null ? null
        : ownership is { State: OwnershipState.Here, Validated: false } ? "here, not yet confirmed after the boot"
        : EnumWords<OwnershipState>.Of(ownership.State);

    private static void WriteSources(IReadOnlyList<LocalSource> sources, TextWriter output)
    {
        Table table = new("sent from here", "to", "state", "owner", "last point", "behind");
        foreach (LocalSource source in sources)
        {
            table.Row(
                source.VmName, source.Endpoint, StateOf(source.Report), OwnerOf(source.Report.Ownership), Show.Time(source.Report.LastPoint?.CutAt), Show.Bytes(source.Report.BytesBehind));
        }

        table.WriteTo(output);
        foreach (LocalSource source in sources)
        {
            if (source.Report.Error is { } error)
            {
                output.WriteLine($"  {source.VmName}: {error}");
            }
        }
    }

    /// <summary>What is sent; nothing is of a VM that this side does not own.</summary>
    private static string StateOf(SourceReport report) =>
        report.Ownership is { State: not OwnershipState.Here } ? "not sent"
        : report.PausedBy is { } by ? $"paused by {by}"
        : EnumWords<SourcePhase>.Of(report.Phase);
}
