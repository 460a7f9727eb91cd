using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;

namespace Understudy.Protection.Target.Runs;

/// <summary>
/// A human's word at the source outranks what stands here. The token hears of it first; all of this follows from its record,
/// so it does not matter when an agent died since. A replica goes on under the newer line from its newest point. A VM that
/// runs here is ended, and what it wrote kept as a branch, whatever else was being done with it; once a commit has dropped or
/// moved something it can only be paused (<see cref="KeepGuestAsync"/>).
/// </summary>
internal sealed partial class FailoverRuns
{
    /// <summary>For a loop of its own: no other chore of the host stands before it.</summary>
    public async ValueTask GiveWayAsync(CancellationToken cancellationToken)
    {
        if (!HasToGiveWay)
        {
            return;
        }

        using AsyncGate.Pass inside = await EnterBeforeHousekeepingAsync(cancellationToken);
        await UndoHalfMadeAsync(cancellationToken);
        await AdvanceAsync(cancellationToken);
        if (Current is null)
        {
            await AdoptAsync(cancellationToken);
        }
    }

    /// <summary>Asked without the gate: that may be held for long where nothing has to give way.</summary>
    private bool HasToGiveWay => Current is { } failover
        ? IsOvertaken(failover) || failover.Leave?.Back is { Transfer: null }
        : Token.Record is { State: OwnershipState.Elsewhere, Line: var line } && IsBehind(line);

    /// <summary>A newer line owns the VM elsewhere, and what stands here has not begun to make way for it.</summary>
    private bool IsOvertaken(FailoverRecord failover) =>
        Token.Record is { State: OwnershipState.Elsewhere, Line: var line } && FailoverSteps.CanBeUndone(failover.Step) && failover.Step switch
        {
            FailoverStep.Preparing => false, // It has not taken the token yet, and is undone.
            FailoverStep.TakingOver => OwnershipRules.Apply(Token.Record, TakingMessage(failover), Token.Boot) is OwnershipOutcome.Refused,
            FailoverStep.Stopping or FailoverStep.Keeping or FailoverStep.GivingBack => failover.Leave?.Back?.Line != line,
            _ => true,
        };

    /// <summary>False when nothing has overtaken it; else it is, durably, on its way off.</summary>
    private async ValueTask<bool> TryStepAsideAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        if (!IsOvertaken(failover) || FailoverSteps.Rule(failover.Step).Course == StepCourse.Undone)
        {
            return false;
        }

        if (failover.Step == FailoverStep.Promoting)
        {
            await tests.PromoteAsync(failover, cancellationToken); // Nobody else would end what has begun with that test.
        }

        if (failover.Leave?.Next is { } next)
        {
            await RemoveDisksAsync(next, cancellationToken);
        }

        GiveBack back = new(Transfer: null, context.Spec.Source, Token.Record.Line, context.Slot.Replica.Points[^1].Id);
        FailoverLeave leave = new(failover.Leave?.From ?? failover.Step, failover.Leave?.BranchDays ?? failover.BranchDays, Next: null, back);
        FailoverStep step = failover.Step is FailoverStep.Keeping or FailoverStep.GivingBack ? failover.Step : FailoverStep.Stopping;
        await SaveAsync(failover with { Step = step, Leave = leave }, cancellationToken);
        return true;
    }

    private bool IsBehind(LineId line) => context.Slot.TryGet() is { } replica && line.IsNewerThan(replica.Line);

    /// <summary>The replica takes records of the line that was minted elsewhere.</summary>
    private async ValueTask AdoptAsync(CancellationToken cancellationToken)
    {
        if (Token.Record is { State: OwnershipState.Elsewhere, Line: var line } && IsBehind(line) && context.Slot.Replica.Points is [.., var newest])
        {
            await context.Slot.Replica.MintLineAsync(line, newest.Id, "claim at the source", cancellationToken);
        }
    }
}
