using Understudy.Protection.Source;
using Understudy.Protection.Tests.Source.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>Who dials is changed while the engine works (REG-3, CFG-14). That every point is whole is checked by the replica.</summary>
public sealed class SourceTurnTests
{
    [Fact]
    public void Replication_goes_on_through_any_number_of_changes_and_starts_nothing_over()
    {
        for (int run = 0; run < 10; run++)
        {
            SourceWorld world = new((ulong)Random.Shared.NextInt64());
            TestContext.Current.SendDiagnosticMessage($"seed {world.Simulator.Seed}");
            Random random = new((int)world.Simulator.Seed);
            world.FillDisks();
            DateTimeOffset next = world.Time.GetUtcNow();
            int turns = 0;
            world.RunUntil(() =>
            {
                if (turns < 12 && world.Time.GetUtcNow() >= next)
                {
                    world.Turn();
                    turns++;
                    next = world.Time.GetUtcNow() + TimeSpan.FromMilliseconds(random.Next(200, 20_000));
                }

                return turns == 12 && world.Replica.Points.Count >= 6;
            });
            Assert.DoesNotContain(world.Events, happened => happened.Kind is SourceEventKind.ResynchronisationStarted);
            Assert.Single(world.Vm.Requests, request => request == "-"); // the first copy was begun once
        }
    }

    [Fact]
    public void Session_is_back_within_five_seconds_of_the_change()
    {
        for (int run = 0; run < 10; run++)
        {
            SourceWorld world = new((ulong)Random.Shared.NextInt64());
            DateTimeOffset turned = default;
            DateTimeOffset? lost = null;
            DateTimeOffset? back = null;
            world.RunUntil(
                () =>
                {
                    DateTimeOffset now = world.Time.GetUtcNow();
                    bool connected = world.Engine?.Status.Connected == true;
                    if (turned == default && world.Replica.Points.Count >= 2 && connected)
                    {
                        turned = now;
                        world.Turn();
                    }
                    else if (turned != default && !connected)
                    {
                        lost ??= now;
                    }

                    back ??= lost is not null && connected ? now : null;
                    return turned != default && (back is not null || now - turned > TimeSpan.FromMinutes(1));
                },
                guestWrites: false);
            Assert.True(back is null || back - turned < TimeSpan.FromSeconds(5), $"seed {world.Simulator.Seed}: the session came back after {back - turned}");
        }
    }
}
