using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>Orders to a source that owns its VM: pause, a point of its own, and what is refused.</summary>
public sealed class SourceOrdersTests
{
    private static readonly TransferId _transfer = new(new Guid(5, 5, 5, new byte[8]));

    [Fact]
    public void A_pause_lasts_over_a_restart_and_what_was_cut_still_travels()
    {
        SourceWorld world = new(Seed());
        Task? pausing = null;
        Task? resuming = null;
        DateTimeOffset until = default;
        int cuts = 0;
        world.RunUntil(() =>
        {
            DateTimeOffset now = world.Time.GetUtcNow();
            if (pausing is null && world.Replica.Points.Count == 2)
            {
                pausing = world.Engine!.PauseAsync("ann", default).AsTask();
            }

            if (until == default && pausing is { IsCompletedSuccessfully: true })
            {
                until = now + TimeSpan.FromMinutes(5);
                cuts = world.Vm.Cuts;
                world.KillAgent();
            }

            if (until != default && now >= until && resuming is null && world.Engine?.Status.Wait == SourceWait.Resume)
            {
                Assert.Equal(cuts, world.Vm.Cuts);
                Assert.Equal("ann", world.Engine.Status.PausedBy);
                Assert.True(world.Engine.Status.Connected);
                resuming = world.Engine.ResumeAsync(default).AsTask();
            }

            return resuming is not null && world.Replica.Points.Count >= 5;
        });
    }

    /// <summary>The older checkpoint of a cycle that was delivered goes with the next cut, if not at once.</summary>
    [Fact]
    public void A_pause_in_the_middle_of_dropping_a_checkpoint_leaves_none_behind()
    {
        SourceWorld world = new(Seed());
        Task? pausing = null;
        Task? resuming = null;
        string? left = null;
        int points = 0;
        world.RunUntil(() =>
        {
            if (pausing is null && world.Replica.Points.Count >= 2 && world.Vm.Calling == "delete")
            {
                pausing = world.Engine!.PauseAsync("ann", default).AsTask(); // the engine runs: it is what calls
            }

            if (resuming is null && pausing is { IsCompletedSuccessfully: true } && world.Engine?.Status.Wait == SourceWait.Resume)
            {
                Assert.Equal(2, world.Vm.CheckpointNames.Count); // it was cut short
                left = world.Vm.CheckpointNames[0];
                points = world.Replica.Points.Count;
                resuming = world.Engine.ResumeAsync(default).AsTask();
            }

            return resuming is not null && world.Replica.Points.Count >= points + 2;
        });
        Assert.NotNull(left);
        Assert.DoesNotContain(left, world.Vm.CheckpointNames);
    }

    [Fact]
    public async Task A_bookmark_is_a_point_of_its_own_and_one_order_makes_one()
    {
        SourceWorld world = new(Seed());
        Guid order = Guid.NewGuid();
        Task<SourcePoint>? first = null;
        Task<SourcePoint>? again = null;
        DateTimeOffset asked = default;
        world.RunUntil(() =>
        {
            if (first is null && world.Replica.Points.Count == 2 && world.Engine?.Status.Wait == SourceWait.NextCycle)
            {
                asked = world.Time.GetUtcNow();
                first = world.Engine.CycleAsync(order, PointKind.Bookmark, "before the upgrade", default).AsTask();
            }

            if (first is { IsCompleted: true } && again is null)
            {
                again = world.Engine!.CycleAsync(order, PointKind.Bookmark, "before the upgrade", default).AsTask();
            }

            return again is { IsCompleted: true };
        });
        SourcePoint made = await first!;
        Assert.Equal((PointKind.Bookmark, "before the upgrade"), (made.Kind, made.Label));
        Assert.Equal(made, await again!);
        Assert.InRange(made.CutAt - asked, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.Equal(made.Id, world.Replica.LastPoint);
    }

    [Fact]
    public void Orders_that_cannot_be_carried_out_say_why()
    {
        SourceWorld world = new(Seed());
        Dictionary<string, Task> asked = [];
        world.RunUntil(() =>
        {
            if (asked.Count == 0 && world.Replica.Points.Count == 2)
            {
                asked["offer"] = world.Engine!.OfferAsync(_transfer, SourceWorld.Peer, default).AsTask();
                asked["last change"] = world.Engine.LastChangeAsync(null, default).AsTask();
            }

            if (asked.Count == 2 && asked.Values.All(task => task.IsCompleted))
            {
                world.Vm.State = VmRunState.Off;
                asked["cycle"] = world.Engine!.CycleAsync(Guid.NewGuid(), PointKind.Crash, null, default).AsTask();
            }

            return asked.Count == 3 && asked.Values.All(task => task.IsCompleted);
        });
        Assert.Equal(RefusalCode.NotFenced, CodeOf(asked["offer"]));
        Assert.Equal(RefusalCode.NotFenced, CodeOf(asked["last change"]));
        Assert.Equal(RefusalCode.VmIsOff, CodeOf(asked["cycle"]));
    }

    private static RefusalCode CodeOf(Task refused) => Assert.IsType<RefusedException>(refused.Exception!.InnerException).Code;

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
