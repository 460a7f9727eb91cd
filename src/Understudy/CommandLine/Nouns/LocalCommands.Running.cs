using System.CommandLine;
using Understudy.Api.Control;
using Understudy.Api.Rest;
using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>Starting VMs from their replicas, without the vault.</summary>
internal static partial class LocalCommands
{
    private const string Isolated = "isolated";
    private const string None = "none";

    private static readonly Option<string?> _network = new("--network")
    {
        Description = "isolated (default: a network made for the test), none, or a network of this host",
    };

    private static readonly Option<string?> _complete = new("--complete") { Description = "End the test of this name (as `local list` shows it), and remove what it made" };
    private static readonly Option<string?> _confirm = new("--confirm") { Description = "The confirmation word (FAILOVER)" };
    private static readonly Option<string> _folder = new("--to") { Description = "New or empty folder of this host", Required = true };
    private static readonly Option<string?> _format = new("--format") { Description = "raw (default) or qcow2" };

    private static async Task<ExitCode> TestAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, _, LocalReplica replica) = await FindAsync(c, ct);
        if (c.Get(_complete) is { } named)
        {
            LocalTest test = replica.Tests.FirstOrDefault(test => test.VmName == named || test.Id.ToString() == named)
                ?? throw new ErrorException(Errors.NoTestHere(replica.VmName, named));
            Removed removed = await agent.AskAsync(AgentMethods.TestComplete, new TestCompleteRequest(replica.Report.Replica, test.Id), ShowProgress(c), ct);
            return c.Show(removed, CommandContext.Types.Removed, (r, o) => o.WriteLine($"{test.VmName} ended; gone: {string.Join(", ", r.Gone)}"));
        }

        RecoveryPointInfo point = await ChooseAsync(agent, replica, c.Get(_point), ct);
        string network = c.Get(_network) ?? Isolated;
        NicPlan[] nics = [.. replica.Settings.Nics.Select(nic => nic with { TestNetwork = network is Isolated or None ? null : network })];
        if (network is not (Isolated or None) && nics.Length == 0)
        {
            throw new ErrorException(Errors.BadValue("--network", network, "the vault has not said which NICs the VM has: take isolated or none"));
        }

        TestStartRequest request = new(
            replica.Report.Vm, replica.Report.Replica, new TestId(Guid.NewGuid()), point.Id, VmNames.ForTest(replica.TargetName, FreeNumber(replica)), network == Isolated, nics,
            Cpus: replica.Settings.Cpus, MemoryBytes: replica.Settings.MemoryBytes);
        TestStarted started = await agent.AskAsync(AgentMethods.TestStart, request, ShowProgress(c), ct);
        return c.Show(started, CommandContext.Types.TestStarted, (s, o) =>
        {
            o.WriteLine($"{s.VmName} runs from {Show.Time(point.CutAt)}{(s.Network is { } on ? $" on network {on}" : ", without a network")}");
            WriteNotes(s.Notes, o);
            o.WriteLine($"End it: understudy local test {replica.VmName} --complete {s.VmName}");
        });
    }

    private static async Task<ExitCode> FailoverAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, LocalState state, LocalReplica replica) = await FindAsync(c, ct);
        RequireNoVault(c, state, replica.VmName);
        return await FailOverAsync(c, agent, replica, c.Get(_point), c.Get(_name), c.Get(_nic)!, ct); // has a default
    }

    private static async Task<ExitCode> FailOverAsync(
        CommandContext c, LocalAgent agent, LocalReplica replica, string? wanted, string? name, IReadOnlyList<string> nics, CancellationToken ct)
    {
        RecoveryPointInfo point = await ChooseAsync(agent, replica, wanted, ct);
        RequireWord(await WordAsync(c, WarningOf(replica, point), ct));
        FailoverStartRequest request = new(
            replica.Report.Vm, replica.Report.Replica, point.Id, name ?? replica.TargetName, Plan(replica.Settings.Nics, nics),
            BranchDays: replica.Settings.BranchDays, Cpus: replica.Settings.Cpus, MemoryBytes: replica.Settings.MemoryBytes);
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
        FailoverCancelRequest request = new(
            replica.Report.Vm, replica.Report.Replica, new TransferId(Guid.NewGuid()), replica.Source, replica.Settings.BranchDays, Start: true);
        FailoverCancelled cancelled = await agent.AskAsync(AgentMethods.FailoverCancel, request, ShowProgress(c), ct);
        return c.Show(cancelled, CommandContext.Types.FailoverCancelled, (r, o) =>
        {
            o.WriteLine($"{replica.TargetName} ended here; its source owns it by line {r.Line} as soon as it hears of it ({(replica.SourceConnected ? "it is connected" : "it is silent now")})");
            if (r.Branch is { } branch)
            {
                o.WriteLine($"what ran here is kept as branch {branch} for {replica.Settings.BranchDays} days");
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
                : await FailOverAsync(c, agent, replica, null, null, [], ct);
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

    /// <summary>The vault's plan with the choices of this run in it.</summary>
    public static IReadOnlyList<NicPlan> Plan(IReadOnlyList<NicPlan> ordered, IEnumerable<string> choices)
    {
        Dictionary<string, NicPlan> plans = ordered.ToDictionary(nic => nic.Mac, StringComparer.OrdinalIgnoreCase);
        foreach (string choice in choices)
        {
            NicChoiceDto chosen = NicChoiceWords.Read(choice);
            NicPlan before = plans.GetValueOrDefault(chosen.Mac, new NicPlan(chosen.Mac, null, null, null));
            plans[chosen.Mac] = before with { TargetNetwork = chosen.Network == None ? null : chosen.Network, NewMac = chosen.NewMac ?? before.NewMac };
        }

        return [.. plans.Values];
    }

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
            ? $"{replica.VmName} is being sent by its source at this moment: it runs there. It will run in two places until its agent stops it there."
            : $"Nothing is heard of the source of {replica.VmName}: it may still be running there, cut off. If it is, it will run in two places until its agent hears of this one.",
        $"It starts from {Show.Time(point.CutAt)}; what was written later is not in it.",
    ];

    /// <summary>Says what it means, and takes the word; null when nobody is there to ask.</summary>
    private static async Task<string?> WordAsync(CommandContext c, string[] warning, CancellationToken ct)
    {
        if (c.Get(_confirm) is { } given || c.Json)
        {
            return c.Get(_confirm);
        }

        foreach (string line in warning)
        {
            c.Io.Error.WriteLine(line);
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
