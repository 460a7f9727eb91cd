using System.CommandLine;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>
/// `understudy agent leave`: joining undone (REG-6). In two steps, because each part is removed by whoever can: what is
/// protected, by the agent that runs; the agent's own files, when it has ended.
/// </summary>
internal static class LeaveCommand
{
    private static readonly Option<string> _data = new("--data") { Description = "Folder of identity and state", DefaultValueFactory = _ => AgentConfig.DefaultDataFolder };
    private static readonly Option<string?> _confirm = new("--confirm") { Description = $"The confirmation word ({Confirmation.Leave}), where something would be lost" };

    public static Command Build(CommandFactory make) => make.Verb(
        "leave", "Undo joining, after `host remove`: nothing of Understudy stays on this host", LeaveAsync, _confirm, _data);

    private static async Task<ExitCode> LeaveAsync(CommandContext c, CancellationToken ct)
    {
        string data = Path.GetFullPath(c.Get(_data)!); // has a default
        await AgentIdentity.LoadAsync(data, ct); // says so when this host has not joined
        LocalAgent agent = await LocalAgent.FindAsync(data, c.Logger, ct);
        LocalState state;
        try
        {
            state = await agent.AskAsync(LocalMethods.State, Nothing.Value, null, ct);
        }
        catch (ErrorException e) when (e.Error.Code == "agent-not-running")
        {
            AgentLeaving leaving = new(data, await AgentConfig.ReadAsync(data, ct));
            using AgentLock onlyOne = AgentLock.Take(data);
            leaving.RequireNothingHeld();
            await RequireWordAsync(c, await leaving.ListUnwatchedAsync(c.Logger, ct), ct);
            leaving.Remove();
            return c.Say("this host has left; nothing of Understudy is on it any more");
        }

        if (state.Vault.Connected)
        {
            throw new ErrorException(Errors.HostInVault(state.Name));
        }

        if (state.Sources.FirstOrDefault(source => source.Report.Ownership is { State: OwnershipState.Offered }) is { } given)
        {
            throw new ErrorException(Errors.TokenInTransit(given.VmName, "the other side"));
        }

        if (state.Unavailable is [var unopened, ..])
        {
            throw new ErrorException(unopened.Error); // Nothing of it can be ended while it cannot be read.
        }

        await RequireWordAsync(c, [.. LostWith(state)], ct);
        foreach (LocalSource source in state.Sources)
        {
            await agent.AskAsync(AgentMethods.SourceUnprotect, new SourceUnprotectRequest(source.Report.Vm, source.Report.Replica, KeepGuard: IsElsewhere(source)), null, ct);
        }

        foreach (LocalReplica replica in state.Replicas)
        {
            await agent.AskAsync(AgentMethods.TargetUnprotect, new TargetUnprotectRequest(replica.Report.Vm, replica.Report.Replica, DeleteBranches: true), null, ct);
        }

        return c.Say("nothing is protected here any more; old VMs that the other side owns are still blocked; now stop the agent for good (systemctl disable --now understudy-agent) and say `understudy agent leave` once more");
    }

    private static bool IsElsewhere(LocalSource source) => source.Report.Ownership is { State: OwnershipState.Elsewhere };

    private static IEnumerable<string> LostWith(LocalState state) =>
    [
        .. state.Sources.Select(source => IsElsewhere(source)
            ? $"{source.VmName}: the other side owns it; the old VM stays here, blocked until this host has left altogether"
            : $"{source.VmName}: it is not replicated any more"),
        .. state.Replicas.Select(replica => $"{replica.VmName}: its replica here, with {replica.Report.PointCount} recovery points and {replica.Report.Branches?.Count ?? 0} branches"),
    ];

    private static async Task RequireWordAsync(CommandContext c, IReadOnlyList<string> lost, CancellationToken ct)
    {
        if (lost.Count == 0)
        {
            return;
        }

        string? word = c.Get(_confirm);
        if (word is null)
        {
            c.Io.Error.WriteLine("What ends by leaving:");
            foreach (string line in lost)
            {
                c.Io.Error.WriteLine($"  {line}");
            }

            word = await Asking.WordAsync(c, Confirmation.Leave, "go on", ct);
        }

        if (word != Confirmation.Leave)
        {
            throw new ErrorException(Errors.WrongConfirmation(Confirmation.Leave, word));
        }
    }
}
