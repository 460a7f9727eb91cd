using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Protection;

namespace Understudy.Vault.Tests;

public sealed class ReportBoardTests
{
    private const int Reports = 20_000;

    private static readonly VmId Vm = new(Guid.NewGuid());
    private static readonly ReplicaId Replica = new(Guid.NewGuid());

    /// <summary>Both sides report at once, each over its own connection: an event is made of what one report changed, once.</summary>
    [Fact]
    public async Task A_change_is_told_of_by_the_report_that_made_it_and_by_no_other()
    {
        ReportBoard board = new();
        using Barrier together = new(2); // the policy is asked only about points, and there are none
        Task<int> source = Task.Run(() => Count(together, number => board.Set(Vm, SourceOf(number), DateTimeOffset.UnixEpoch, null!)), TestContext.Current.CancellationToken);
        Task<int> target = Task.Run(() => Count(together, number => board.Set(Vm, TargetOf(number))), TestContext.Current.CancellationToken);

        Assert.Equal(Reports, await source);
        Assert.Equal(0, await target); // it changed nothing of the source
    }

    private static int Count(Barrier together, Func<int, (VmReports Before, VmReports Now)> report)
    {
        together.SignalAndWait();
        return Enumerable.Range(1, Reports).Select(report).Count(change => change.Before.Source?.CyclesMade != change.Now.Source?.CyclesMade);
    }

    private static SourceReport SourceOf(int cycles) =>
        new(Vm, Replica, SourcePhase.Protected, VmPower.Running, 0, 0, 0, 0, null, null, null, cycles, 0, 0, 0, 0, false, null);

    private static TargetReport TargetOf(int bytes) => new(Vm, Replica, default, TargetPhase.Receiving, 0, null, null, bytes, 0, [], null);
}
