using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Branches;

namespace Understudy.Protection.Target.Runs;

/// <summary>A test that becomes a failover (TST-2): its VM ends, what it wrote is kept as a branch under the test's id.</summary>
internal sealed partial class TestRuns
{
    /// <summary>Null is no test, and fine.</summary>
    public void RequirePromotable(Guid? id, RecoveryPointId point)
    {
        if (id is null)
        {
            return;
        }

        TestRecord test = Current.FirstOrDefault(test => test.Id == id && test.Step is TestStep.Running or TestStep.Promoting)
            ?? throw new RefusedException(RefusalCode.NoSuchRun, $"There is no test {id} of {context.Vm} here.", "See the VM's tests: understudy vm show.");
        if (test.Branch is not null)
        {
            throw new RefusedException(
                RefusalCode.NoSuchPoint, $"Test {test.VmName} stands on branch {test.Branch}, not on a recovery point.", "Fail over to a recovery point; the branch can be exported.");
        }

        if (test.Point != point)
        {
            throw new RefusedException(RefusalCode.NoSuchPoint, $"Test {test.VmName} is of point {test.Point}, not of {point}.", "Name the test's own point.");
        }

        context.Branches.RequireRoom();
    }

    /// <summary>A step of the failover: begun twice it is done once.</summary>
    public async ValueTask PromoteAsync(FailoverRecord failover, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (failover.FromTest is not { } id || !_tests.TryGetValue(id, out TestRecord? test))
        {
            return; // The agent died after it had been forgotten.
        }

        await SaveAsync(test = test with { Step = TestStep.Promoting }, cancellationToken);
        await EndVmAsync(test, cancellationToken);
        DateTimeOffset now = context.Services.Time.GetUtcNow();
        await context.Branches.KeepAsync(
            new BranchRecord(
                new BranchId(test.Id), BranchKind.PromotedTest, test.Point, test.Point.Line, test.Disks, now, now.AddDays(failover.BranchDays), Bytes: 0, test.Label,
                EndedBy: null, BranchStep.Kept),
            cancellationToken);
        await LetGoAsync(test, cancellationToken);
        await DeleteLogsAsync(test, cancellationToken);
        await ForgetAsync(test, cancellationToken);
    }
}
