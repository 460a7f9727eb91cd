using System.Threading.Channels;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Tests.Kernel;

public sealed class SimulatorTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void The_same_seed_gives_the_same_trace(ulong seed) => Assert.Equal(BusyRun(seed), BusyRun(seed));

    [Fact]
    public void Different_seeds_give_different_traces() => Assert.Equal(8, Enumerable.Range(1, 8).Select(s => BusyRun((ulong)s)).Distinct().Count());

    [Fact]
    public void Time_jumps_to_the_next_timer()
    {
        var simulator = new Simulator(1);
        simulator.Run(async () =>
        {
            await Task.Delay(TimeSpan.FromHours(5), simulator.Root.Time);
            await Task.Delay(TimeSpan.FromHours(3), simulator.Root.Time);
        });

        Assert.Equal(TimeSpan.FromHours(8).Ticks, simulator.NowTicks);
        Assert.InRange(simulator.Steps, 1, 20);
    }

    [Fact]
    public void Work_that_moves_to_the_thread_pool_is_loud()
    {
        var simulator = new Simulator(1);
        Exception thrown = Assert.ThrowsAny<SimulationException>(() => simulator.Run(async () =>
        {
            await Task.Run(() => 1);
            await Task.Yield();
            await Task.Run(() => 2);
        }));

        Assert.True(thrown is EscapedException or NothingReadyException, thrown.ToString());
    }

    [Fact]
    public void An_await_that_leaves_the_context_is_loud()
    {
        var simulator = new Simulator(1);
        SimProcess process = simulator.Root;
        Assert.ThrowsAny<SimulationException>(() => simulator.Run(async () =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), process.Time).ConfigureAwait(false);
            await Task.Delay(TimeSpan.FromSeconds(1), process.Time).ConfigureAwait(false);
            await Task.Delay(TimeSpan.FromSeconds(1), process.Time);
        }));
    }

    [Fact]
    public void A_wait_for_nothing_is_loud()
    {
        var simulator = new Simulator(1);
        Assert.Throws<NothingReadyException>(() => simulator.Run(() => new TaskCompletionSource().Task));
    }

    [Fact]
    public void A_run_that_never_ends_is_loud()
    {
        var simulator = new Simulator(1, limits: new SimulatorLimits { Steps = 1000 });
        Assert.Throws<SimulationLimitException>(() => simulator.Run(async () =>
        {
            while (true)
            {
                await Task.Yield();
            }
        }));
    }

    [Fact]
    public void A_killed_process_runs_nothing_more_not_even_its_finally()
    {
        var simulator = new Simulator(1);
        bool cleanedUp = false;
        simulator.Run(async () =>
        {
            var host = new SimHost(simulator, "a");
            SimProcess process = host.Start("p", async self =>
            {
                try
                {
                    await Task.Delay(TimeSpan.FromSeconds(10), self.Time);
                }
                finally
                {
                    cleanedUp = true;
                }
            });
            await simulator.DelayAsync(TimeSpan.FromSeconds(1));
            process.Kill();
            Assert.Equal(ProcessEnd.Killed, await process.Ended);
            await simulator.DelayAsync(TimeSpan.FromSeconds(20));
        });

        Assert.False(cleanedUp);
    }

    [Fact]
    public void A_clock_jump_moves_the_wall_clock_and_no_timer()
    {
        var simulator = new Simulator(1);
        simulator.Run(async () =>
        {
            var host = new SimHost(simulator, "a");
            SimProcess process = host.Start("p", async self =>
            {
                DateTimeOffset wall = self.Time.GetUtcNow();
                long start = self.Time.GetTimestamp();
                host.JumpClock(TimeSpan.FromDays(-2));
                await Task.Delay(TimeSpan.FromSeconds(1), self.Time);
                Assert.Equal(TimeSpan.FromSeconds(1), self.Time.GetElapsedTime(start));
                Assert.Equal(TimeSpan.FromSeconds(1) - TimeSpan.FromDays(2), self.Time.GetUtcNow() - wall);
            });
            await process.Ended;
            Assert.Null(process.Failure);
        });
    }

    private static (ulong Hash, long Steps, long Now) BusyRun(ulong seed)
    {
        var simulator = new Simulator(seed);
        simulator.Run(async () =>
        {
            var channel = Channel.CreateBounded<int>(3);
            Task reader = Task.WhenAll(Enumerable.Range(0, 3).Select(async n =>
            {
                while (await channel.Reader.WaitToReadAsync())
                {
                    while (channel.Reader.TryRead(out int value))
                    {
                        simulator.Trace.Event(simulator.NowTicks, "reader", "reads", "", n, value);
                        await Task.Delay(TimeSpan.FromMilliseconds(simulator.Random.Next(5)), simulator.Root.Time);
                    }
                }
            }));
            await Task.WhenAll(Enumerable.Range(0, 5).Select(async n =>
            {
                for (int i = 0; i < 50; i++)
                {
                    await channel.Writer.WriteAsync((n * 100) + i);
                    await Task.Yield();
                }
            }));
            channel.Writer.Complete();
            await reader;
        });
        return (simulator.Trace.Hash, simulator.Steps, simulator.NowTicks);
    }
}
