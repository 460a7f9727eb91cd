using System.CommandLine;
using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Plans;

namespace Understudy.CommandLine.Nouns;

/// <summary>Starting VMs from their replicas, without the vault.</summary>
internal static partial class LocalCommands
{
    private static readonly Option<string?> _network = new("--network")
    {
        Description = "isolated (default: a network made for the test), none, or a network of this host",
    };

    private static readonly Option<string?> _complete = new("--complete") { Description = "End the test of this name (as `local list` shows it), and remove what it made" };
    private static readonly Option<string?> _offline = new("--confirm") { Description = "The word OFFLINE, when the source is silent: the VM runs nowhere until it returns" };
    private static readonly Option<string?> _confirm = new("--confirm") { Description = "The confirmation word (FAILOVER)" };
    private static readonly Option<string> _folder = new("--to") { Description = "New or empty folder of this host", Required = true };
    private static readonly Option<string?> _format = new("--format") { Description = "raw (default) or qcow2" };

    private static async Task<ExitCode> TestAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, LocalState state, LocalReplica replica) = await FindAsync(c, ct);
        if (c.Get(_complete) is { } named)
        {
            LocalTest test = replica.Tests.FirstOrDefault(test => test.VmName == named || test.Id.ToString() == named)
                ?? throw new ErrorException(Errors.NoTestHere(replica.VmName, named));
            Removed removed = await agent.AskAsync(AgentMethods.TestComplete, new TestCompleteRequest(replica.Report.Replica, test.Id), ShowProgress(c), ct);
            return c.Show(removed, CommandContext.Types.Removed, (r, o) => o.WriteLine($"{test.VmName} ended; gone: {string.Join(", ", r.Gone)}"));
        }

        RecoveryPointInfo point = await ChooseAsync(agent, replica, c.Get(_point), ct);
        string network = c.Get(_network) ?? TestNicPlanner.Isolated;
        RunDto? run = RunOptions.Read(c);
        await LocalRun.CheckAsync(agent, state, run, ct);
        RecoverySettings settings = LocalRun.Settings(replica.Settings, run is null ? null : run with { Nics = null });
        TestNicPlan nics = LocalRun.TestNics(replica.Settings, network, run);
        if (network is not (TestNicPlanner.Isolated or NicPlanner.None) && nics.Nics.Count == 0)
        {
            throw new ErrorException(Errors.BadValue("--network", network, "the vault has not said which NICs the VM has: take isolated or none"));
        }

        TestStartRequest request = new(
            replica.Report.Vm, replica.Report.Replica, new TestId(Guid.NewGuid()), point.Id, run?.Name ?? VmNames.ForTest(replica.TargetName, FreeNumber(replica)),
            nics.RestIsolated, nics.Nics, Cpus: settings.Cpus, MemoryBytes: settings.MemoryBytes);
        TestStarted started = await agent.AskAsync(AgentMethods.TestStart, request, ShowProgress(c), ct);
        return c.Show(started, CommandContext.Types.TestStarted, (s, o) =>
        {
            string[] on = [.. new[] { s.Network }.Concat(nics.Nics.Select(nic => nic.Network)).OfType<string>().Distinct()];
            o.WriteLine($"{s.VmName} runs from {Show.Time(point.CutAt)}{(on.Length > 0 ? $" on network {string.Join(", ", on)}" : ", without a network")}");
            WriteNotes(s.Notes, o);
            o.WriteLine($"End it: {Typed.Line("understudy local test", replica.VmName, $"--complete {s.VmName}")}");
        });
    }

    private static async Task<ExitCode> FailoverAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, LocalState state, LocalReplica replica) = await FindAsync(c, ct);
        RequireNoVault(c, state, replica.VmName);
        RunDto? run = RunOptions.Read(c);
        await LocalRun.CheckAsync(agent, state, run, ct);
        return await FailOverAsync(c, agent, replica, c.Get(_point), run, ct);
    }

    private static async Task<ExitCode> FailOverAsync(CommandContext c, LocalAgent agent, LocalReplica replica, string? wanted, RunDto? run, CancellationToken ct)
    {
        RecoverySettings settings = LocalRun.Settings(replica.Settings, run);
        RecoveryPointInfo point = await ChooseAsync(agent, replica, wanted, ct);
        RequireWord(await WordAsync(c, WarningOf(replica, point), ct));
        FailoverStartRequest request = new(
            replica.Report.Vm, replica.Report.Replica, point.Id, run?.Name ?? replica.TargetName, settings.Nics,
            BranchDays: settings.BranchDays, Cpus: settings.Cpus, MemoryBytes: settings.MemoryBytes);
        FailoverStarted started = await agent.AskAsync(AgentMethods.FailoverStart, request, ShowProgress(c), ct);
        return c.Show(started, CommandContext.Types.FailoverStarted, (s, o) =>
        {
            o.WriteLine($"{s.VmName} runs here from {Show.Time(point.CutAt)}, on line {s.Line}");
            WriteNotes(s.Notes, o);
        });
    }

    /// <summary>The VM ends here and is offered back; its source takes it at the next contact, whenever that is.</summary>
    private static async Task<ExitCode> CancelAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, LocalState state, LocalReplica replica) = await FindAsync(c, ct);
        RequireNoVault(c, state, replica.VmName);
        if (!replica.SourceCalls && c.Get(_offline) != Confirmation.Offline)
        {
            throw new ErrorException(Errors.WouldRunNowhere(replica.VmName, "its source"));
        }

        FailoverCancelRequest request = new(
            replica.Report.Vm, replica.Report.Replica, new TransferId(Guid.NewGuid()), replica.Source, replica.Settings.BranchDays, Start: true);
        FailoverCancelled cancelled = await agent.AskAsync(AgentMethods.FailoverCancel, request, ShowProgress(c), ct);
        PointsAnswer kept = await agent.AskAsync(AgentMethods.PointsList, new PointsRequest(replica.Report.Replica), null, ct);
        return c.Show(cancelled, CommandContext.Types.FailoverCancelled, (r, o) =>
        {
            o.WriteLine($"{replica.TargetName} ended here; its source owns it by line {r.Line} as soon as it hears of it ({(replica.SourceCalls ? "its agent calls, so within seconds" : "it is silent now")})");
            if (kept.Branches?.FirstOrDefault(branch => branch.Id == r.Branch) is { } branch)
            {
                o.WriteLine($"what ran here is kept as branch {BranchName.Of(branch)} for {replica.Settings.BranchDays} days");
            }
        });
    }

    /// <summary>At the source the VM comes back by a human's word. At the target the same word is a failover, or, where one
    /// stands, says that it counts.</summary>
    private static async Task<ExitCode> ClaimAsync(CommandContext c, CancellationToken ct)
    {
        LocalAgent agent = await AgentAsync(c, ct);
        LocalState state = await agent.AskAsync(LocalMethods.State, Nothing.Value, null, ct);
        RequireNoVault(c, state, c.Get(_vm));
        if (FindSource(state, c.Get(_vm)) is not { } source)
        {
            LocalReplica replica = Find(state, c.Get(_vm));
            return replica.Report.Failover is { } failover
                ? await ClaimFailedOverAsync(c, agent, replica, failover, ct)
                : await FailOverAsync(c, agent, replica, null, null, ct);
        }

        RequireWord(await WordAsync(c,
        [
            $"{source.VmName} may be running at its target ({source.Endpoint}). If it is, it will run in two places until that agent hears of this claim,",
            "and what ran there is kept there as a branch, or stands still where it was committed.",
        ], ct));
        LocalClaimed claimed = await agent.AskAsync(LocalMethods.Claim, new LocalClaimRequest(source.Report.Vm, source.Report.Replica, Start: true), ShowProgress(c), ct);
        return c.Show(claimed, CommandContext.Types.LocalClaimed, (r, o) => o.WriteLine($"{source.VmName} belongs here, by line {r.Line}"));
    }

    /// <summary>It was failed over to this host, and is held after a boot or paused because its source has it too.</summary>
    private static async Task<ExitCode> ClaimFailedOverAsync(CommandContext c, LocalAgent agent, LocalReplica replica, FailoverInfo failover, CancellationToken ct)
    {
        RequireWord(await WordAsync(c,
        [
            $"{replica.VmName} may be running at its source. If it is, it will run in two places until that agent hears of this claim.",
            $"It goes on here as it was left, failed over to the point of {Show.Time(failover.PointCutAt)}.",
        ], ct));
        LocalClaimed claimed = await agent.AskAsync(LocalMethods.Claim, new LocalClaimRequest(replica.Report.Vm, replica.Report.Replica, Start: true), ShowProgress(c), ct);
        return c.Show(claimed, CommandContext.Types.LocalClaimed, (r, o) => o.WriteLine($"{failover.VmName} belongs here, by line {r.Line}"));
    }

    private static LocalSource? FindSource(LocalState state, string vm) => state.Sources.FirstOrDefault(source =>
        source.VmName == vm || string.Equals(source.Report.Vm.ToString(), vm, StringComparison.OrdinalIgnoreCase));

    private static void RequireNoVault(CommandContext c, LocalState state, string vm)
    {
        if (state.Vault.Connected && !c.Get(_despiteVault))
        {
            throw new ErrorException(Errors.VaultIsThere(vm));
        }
    }

    private static void RequireWord(string? word)
    {
        if (word != Confirmation.Failover)
        {
            throw new ErrorException(Errors.WrongConfirmation(Confirmation.Failover, word));
        }
    }

    private static string[] WarningOf(LocalReplica replica, RecoveryPointInfo point) =>
    [
        replica.SourceConnected
            ? $"The source of {replica.VmName} is connected to this host. Unless the VM is off there, it will run in two places until that agent stops it, within seconds."
            : $"Nothing is heard of the source of {replica.VmName}: it may still be running there, cut off. If it is, it will run in two places until its agent hears of this one.",
        $"It starts from {Show.Time(point.CutAt)}; what was written later is not in it.",
    ];

    /// <summary>Says what it means, and takes the word; null when nobody is there to ask.</summary>
    private static async Task<string?> WordAsync(CommandContext c, string[] warning, CancellationToken ct)
    {
        if (c.Json)
        {
            return c.Get(_confirm);
        }

        foreach (string line in warning) // also to whoever brought the word along: it was typed before this was known
        {
            c.Io.Error.WriteLine(line);
        }

        if (c.Get(_confirm) is { } given)
        {
            return given;
        }

        if (!c.Io.Interactive || Console.IsInputRedirected)
        {
            return null;
        }

        c.Io.Error.Write($"Type {Confirmation.Failover} to start it here: ");
        return (await Console.In.ReadLineAsync(ct))?.Trim();
    }

    private static int FreeNumber(LocalReplica replica)
    {
        int number = 1;
        while (replica.Tests.Any(test => test.VmName == VmNames.ForTest(replica.TargetName, number)))
        {
            number++;
        }

        return number;
    }

    private static void WriteNotes(IReadOnlyList<string>? notes, TextWriter output)
    {
        foreach (string note in notes ?? [])
        {
            output.WriteLine($"  {note}");
        }
    }
}
