using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Runs;
using Understudy.Protection.Tests.Target.World;
using Understudy.Qemu.Tests.Recovery;
using Understudy.Replication.Receiving;

namespace Understudy.Protection.Tests.Target;

/// <summary>A replica whose storage failed comes back without a new agent.</summary>
public sealed class ReopeningTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task A_replica_whose_flush_failed_is_opened_anew_and_takes_records_again(int failures)
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId kept = await site.Source.PointAsync(site.Host.Sink);
        IReplicaSink dying = site.Host.Sink;
        site.Journal.FailingFlushes = failures;
        await Assert.ThrowsAsync<StorageException>(() => site.Source.PointAsync(dying));
        await WellAsync(site);
        Assert.True(dying.LineEnds.IsCancellationRequested); // Who sends to it connects again.

        // What was on its way was received whole or not at all; the source goes on where the replica stands.
        site.Source.GoOn(SourceFeed.Line, kept);
        IReplicaSink sink = site.Host.Sink;
        Assert.True(sink.FlushedSequence >= kept.Sequence);
        site.Source.Continue(sink.FlushedSequence);
        RecoveryPointId next = await site.Source.PointAsync(sink);
        Assert.Equal(next, site.Host.Points[^1].Id);
        Assert.Contains(site.Host.Points, point => point.Id == kept);
        await UntilAsync(() => site.Host.Status.Error is null);
    }

    [Fact]
    public async Task Orders_say_that_it_is_a_matter_of_a_moment_and_a_failover_that_stands_goes_on()
    {
        await using ModelSite site = new();
        await site.CreateAsync();
        RecoveryPointId older = await site.Source.PointAsync(site.Host.Sink);
        RecoveryPointId point = await site.Source.PointAsync(site.Host.Sink);
        await site.Host.StartFailoverAsync(ModelSite.Failover(point), default);
        site.Journal.FailingFlushes = 1;
        await Assert.ThrowsAsync<StorageException>(async () => await site.Host.ChangePointAsync(new ChangePointOrder(older, 7), default));
        await WellAsync(site);
        await UntilAsync(() => site.Host.Status.Failover is { Step: FailoverStep.Running, Point: var at } && at == older);
        Assert.NotNull(site.Machine.Domains[SourceFeed.Vm].Live);
        Assert.Equal(site.Host.Status.Failover!.Line, site.Host.Status.Replica!.Line);
    }

    private static Task WellAsync(ModelSite site) => UntilAsync(() => site.Journal.FailingFlushes <= 0 && site.Host.IsWell);

    private static async Task UntilAsync(Func<bool> holds)
    {
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(5));
        while (!holds())
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }
}
