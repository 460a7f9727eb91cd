using System.CommandLine;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.CommandLine.Nouns;

/// <summary>What makes an end of something final, without the vault: it may be gone, or know nothing of the VM any more.</summary>
internal static partial class LocalCommands
{
    private static readonly Argument<string> _branch = new("branch") { Description = "Name of the branch" };
    private static readonly Option<string?> _branchAgain = new("--confirm") { Description = "The branch's name once more" };

    private static async Task<ExitCode> CommitAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, LocalState state, LocalReplica replica) = await FindAsync(c, ct);
        RequireNoVault(c, state, replica.VmName);
        Committed committed = await agent.AskAsync(AgentMethods.Commit, new CommitRequest(replica.Report.Vm, replica.Report.Replica), ShowProgress(c), ct);
        return c.Show(committed, CommandContext.Types.Committed, (r, o) =>
        {
            o.WriteLine(r.Pending is { } pending
                ? $"{replica.TargetName} belongs here for good; its last merge waits, and goes on by itself: {pending}"
                : $"{replica.TargetName} belongs here for good, on {string.Join(", ", r.Images)}");
        });
    }

    private static async Task<ExitCode> DeleteAsync(CommandContext c, CancellationToken ct)
    {
        (LocalAgent agent, LocalState state, LocalReplica replica) = await FindAsync(c, ct);
        RequireNoVault(c, state, replica.VmName);
        string named = c.Get(_branch);
        PointsAnswer kept = await agent.AskAsync(AgentMethods.PointsList, new PointsRequest(replica.Report.Replica), null, ct);
        BranchInfo branch = kept.Branches?.FirstOrDefault(candidate => BranchName.Is(candidate, named))
            ?? throw new ErrorException(Errors.NoBranchHere(replica.VmName, named));
        string? word = c.Get(_branchAgain) ?? await Asking.WordAsync(c, named, "delete it for good", ct);
        if (word != named)
        {
            throw new ErrorException(Errors.WrongConfirmation(named, word));
        }

        Removed removed = await agent.AskAsync(AgentMethods.BranchDelete, new BranchDeleteRequest(replica.Report.Replica, branch.Id), ShowProgress(c), ct);
        return c.Show(removed, CommandContext.Types.Removed, (r, o) => o.WriteLine($"Deleted: {string.Join(", ", r.Gone)}"));
    }
}
