using Understudy.Blocks.Identity;
using Understudy.Model;
using Understudy.Vault.Protection;

namespace Understudy.Vault.Tests;

public sealed class ReportBoardTests
{
    private const int Reports = 20_000;

    private static readonly VmId Vm = new(Guid.NewGuid());
    private static readonly ReplicaId Replica = new(Guid.NewGuid());

    /// <summary>Both sides report at once, each over its own connection.</summary>
    [Fact]
    public async Task A_report_of_one_side_never_undoes_the_other_side_s()
    {
        ReportBoard board = new();
        using Barrier together = new(2); // the policy is asked only about points, and there are none
        Task<int> source = Task.Run(() => Lost(together, number => board.Set(Vm, SourceOf(number), DateTimeOffset.UnixEpoch, null!), () => board.Get(Vm).Source?.CyclesMade), TestContext.Current.CancellationToken);
        Task<int> target = Task.Run(() => Lost(together, number => board.Set(Vm, TargetOf(number)), () => board.Get(Vm).Target?.JournalBytes), TestContext.Current.CancellationToken);

        Assert.Equal((0, 0), (await source, await target));
    }

    private static int Lost(Barrier together, Action<int> report, Func<long?> known)
    {
        together.SignalAndWait();
        return Enumerable.Range(1, Reports).Count(number =>
        {
            report(number);
            return known() != number;
        });
    }

    private static SourceReport SourceOf(int cycles) =>
        new(Vm, Replica, SourcePhase.Protected, VmPower.Running, 0, 0, 0, 0, null, null, null, cycles, 0, 0, 0, 0, false, null);

    private static TargetReport TargetOf(int bytes) => new(Vm, Replica, default, TargetPhase.Receiving, 0, null, null, bytes, 0, [], null);
}
