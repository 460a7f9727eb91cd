using System.CommandLine;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>`understudy local`: on a host, without the vault (FO-8). The agent does it; the vault takes the result over when it is back.</summary>
internal static partial class LocalCommands
{
    private static readonly Argument<string> _vm = new("vm") { Description = "Name (here or at the source) or id of the VM" };
    private static readonly Option<string> _data = new("--data")
    {
        Description = "Folder of the agent's identity and state",
        DefaultValueFactory = _ => AgentConfig.DefaultDataFolder,
    };

    private static readonly Option<string?> _point = new("--point") { Description = "Id of a recovery point, its time, or 'latest' (default)" };
    private static readonly Option<string?> _forget = new("--confirm") { Description = $"The confirmation word ({Confirmation.Forget})" };
    private static readonly Option<bool> _despiteVault = new("--despite-vault") { Description = "Also when the vault is connected and could do it" };

    public static Command Build(CommandFactory make) => CommandFactory.Noun(
        "local",
        "On this host, without the vault: its agent is asked directly, as root",
        make.Verb("list", "List the replicas here, and the VMs sent from here", ListAsync, _data),
        LocalSettingCommands.Set(make),
        make.Verb("points", "List the points a VM can be brought back to, oldest first", PointsAsync, _vm, _data),
        make.Verb("test", "Start a copy of the VM from a recovery point, beside production", TestAsync,
            [_vm, _point, _network, _complete, _data, .. RunOptions.All]),
        make.Verb("failover", "Make the VM run here, whatever the state of its source", FailoverAsync,
            [_vm, _point, _confirm, _despiteVault, _data, .. RunOptions.All]),
        make.Verb("cancel", "End a failover that is not committed; the VM goes back to its source", CancelAsync, _vm, _offline, _despiteVault, _data),
        make.Verb("commit", "Make a failover final; the VM ends on ordinary images, and runs all the while", CommitAsync, _vm, _despiteVault, _data),
        make.Verb("delete", "Delete a branch, by its name (`local points` shows them)", DeleteAsync, _vm, _branch, _branchAgain, _despiteVault, _data),
        make.Verb("claim", "Say that the VM belongs here although the other side cannot be asked; runs it", ClaimAsync, _vm, _confirm, _despiteVault, _data),
        make.Verb("forget", "Give up a replica whose storage pool is gone for good", ForgetAsync, _vm, _forget, _data),
        make.Verb("export", "Write the disks of a point as ordinary images", ExportAsync, _vm, _point, _folder, _format, _data));

    private static Task<LocalAgent> AgentAsync(CommandContext c, CancellationToken ct) => LocalAgent.FindAsync(Path.GetFullPath(c.Get(_data)!), c.Logger, ct); // has a default

    private static async Task<(LocalAgent Agent, LocalState State, LocalReplica Replica)> FindAsync(CommandContext c, CancellationToken ct)
    {
        LocalAgent agent = await AgentAsync(c, ct);
        LocalState state = await agent.AskAsync(LocalMethods.State, Nothing.Value, null, ct);
        return (agent, state, Find(state, c.Get(_vm)));
    }

    /// <exception cref="ErrorException">None, or more than one.</exception>
    public static LocalReplica Find(LocalState state, string vm)
    {
        LocalReplica[] found =
        [
            .. state.Replicas.Where(replica => replica.VmName == vm || replica.TargetName == vm
                || string.Equals(replica.Report.Vm.ToString(), vm, StringComparison.OrdinalIgnoreCase)
                || string.Equals(replica.Report.Replica.ToString(), vm, StringComparison.OrdinalIgnoreCase)),
        ];
        return found.Length switch
        {
            0 => throw new ErrorException(state.Unavailable?.FirstOrDefault(replica => replica.VmName == vm || replica.Vm.ToString() == vm)?.Error ?? Errors.UnknownReplica(vm)),
            1 => found[0],
            _ => throw new ErrorException(Errors.AmbiguousVm(vm, found.Select(replica => $"{state.Name} as replica {replica.Report.Replica}"))),
        };
    }

    private static async Task<RecoveryPointInfo> ChooseAsync(LocalAgent agent, LocalReplica replica, string? wanted, CancellationToken ct)
    {
        PointsAnswer points = await agent.AskAsync(AgentMethods.PointsList, new PointsRequest(replica.Report.Replica), null, ct);
        return PointChoice.Find(points.Points, wanted) ?? throw new ErrorException(Errors.UnknownPoint(replica.VmName, wanted ?? PointChoice.Latest));
    }

    private static async Task<ExitCode> ListAsync(CommandContext c, CancellationToken ct)
    {
        LocalState state = await (await AgentAsync(c, ct)).AskAsync(LocalMethods.State, Nothing.Value, null, ct);
        return c.Show(state, CommandContext.Types.LocalState, LocalPage.Write);
    }

    private static async Task<ExitCode> PointsAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, _, LocalReplica replica) = await FindAsync(c, ct);
        PointsAnswer points = await agent.AskAsync(AgentMethods.PointsList, new PointsRequest(replica.Report.Replica), null, ct);
        return c.Show(points, CommandContext.Types.PointsAnswer, LocalPage.Write);
    }

    /// <summary>Through the agent, whose replicas are its own; without one, from the folder itself.</summary>
    private static async Task<ExitCode> ExportAsync(CommandContext c, CancellationToken ct)
    {
        string folder = Path.GetFullPath(c.Get(_folder)!); // --to is required
        string format = c.Get(_format) ?? "raw";
        try
        {
            (LocalAgent agent, _, LocalReplica replica) = await FindAsync(c, ct);
            RecoveryPointInfo point = await ChooseAsync(agent, replica, c.Get(_point), ct);
            PointExported exported = await agent.AskAsync(AgentMethods.PointExport, new PointExportRequest(replica.Report.Replica, point.Id, folder, format), ShowProgress(c), ct);
            return PointFiles.Show(c, exported);
        }
        catch (ErrorException e) when (e.Error.Code == "agent-not-running")
        {
            AgentConfig config = await AgentConfig.ReadAsync(Path.GetFullPath(c.Get(_data)!), ct); // has a default
            await using ReplicaFolder alone = await ReplicaFolder.OpenAsync(await ReplicaFolder.FindAsync(config.ReplicasFolder, c.Get(_vm), ct), null, c.Logger, ct);
            return PointFiles.Show(c, new PointExported(await alone.ExportAsync(c.Get(_point), folder, format, ct)));
        }
    }

    /// <summary>Also while the vault is connected: it cannot know that a disk never comes back.</summary>
    private static async Task<ExitCode> ForgetAsync(CommandContext c, CancellationToken ct)
    {
        LocalAgent agent = await AgentAsync(c, ct);
        LocalState state = await agent.AskAsync(LocalMethods.State, Nothing.Value, null, ct);
        string named = c.Get(_vm);
        if (state.Unavailable?.FirstOrDefault(known => known.VmName == named || string.Equals(known.Vm.ToString(), named, StringComparison.OrdinalIgnoreCase)) is not { } replica)
        {
            // Open: the agent refuses, and says whether its pool is there.
            await agent.AskAsync(LocalMethods.Forget, new LocalForgetRequest(Find(state, named).Report.Vm), null, ct);
            return ExitCode.Done;
        }

        c.Io.Error.WriteLine($"{replica.Error.What}: {replica.Error.Why} Its points are given up; where no other copy is, they are lost.");
        string? word = c.Get(_forget) ?? await Asking.WordAsync(c, Confirmation.Forget, "give it up", ct);
        if (word != Confirmation.Forget)
        {
            throw new ErrorException(Errors.WrongConfirmation(Confirmation.Forget, word));
        }

        Removed removed = await agent.AskAsync(LocalMethods.Forget, new LocalForgetRequest(replica.Vm), null, ct);
        return c.Show(removed, CommandContext.Types.Removed, (r, o) =>
        {
            o.WriteLine($"Given up: {string.Join(", ", r.Gone)}. Left as it is: {string.Join(", ", r.Kept)}.");
            o.WriteLine($"Then end its protection: {Typed.Line("understudy vm unprotect", named)}");
        });
    }

    private static Action<ProgressMessage>? ShowProgress(CommandContext c) =>
        c.Io.Interactive && !c.Json ? progress => c.Io.Error.WriteLine($"  {(progress.Fraction is { } f ? Show.Percent(f) + " " : "")}{progress.Text}") : null;
}
