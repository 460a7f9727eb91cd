using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Tests.Kernel;

public sealed class SimNetworkTests
{
    private static readonly byte[] Message = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 7))];

    [Fact]
    public void Bytes_arrive_whole_and_in_order_then_the_end()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            (byte[] received, Exception? end) = Transfer(seed, (_, _, _) => { });
            Assert.Null(end);
            Assert.Equal(Message, received);
        }
    }

    [Fact]
    public void A_cut_leaves_a_prefix_of_any_length()
    {
        var lengths = new HashSet<int>();
        for (ulong seed = 1; seed <= 60; seed++)
        {
            (byte[] received, Exception? end) = Transfer(seed, (network, _, _) => network.CutAll());
            Assert.True(end is IOException || received.Length == Message.Length);
            Assert.Equal(Message[..received.Length], received);
            lengths.Add(received.Length);
        }

        Assert.True(lengths.Count > 10, string.Join(' ', lengths));
    }

    [Fact]
    public void A_killed_writer_is_seen_by_the_reader()
    {
        (byte[] received, Exception? end) = Transfer(5, (_, writer, _) => writer.Kill());
        Assert.IsType<IOException>(end);
        Assert.True(received.Length < Message.Length);
    }

    [Fact]
    public void A_host_that_lost_power_is_silent()
    {
        (_, Exception? end) = Transfer(5, (_, writer, _) => writer.Host!.PowerLoss());
        Assert.IsType<TimeoutException>(end);
    }

    [Fact]
    public void A_stall_delays_and_loses_nothing()
    {
        (byte[] received, Exception? end) = Transfer(5, (network, writer, reader) =>
            network.Stall(writer.Host!, reader.Host!, TimeSpan.FromSeconds(30)));
        Assert.Null(end);
        Assert.Equal(Message, received);
    }

    private static (byte[] Received, Exception? End) Transfer(ulong seed, Action<SimNetwork, SimProcess, SimProcess> strike)
    {
        var received = new List<byte>();
        Exception? end = null;
        var simulator = new Simulator(seed);
        simulator.Run(async () =>
        {
            var network = new SimNetwork(simulator);
            var a = new SimHost(simulator, "a");
            var b = new SimHost(simulator, "b");
            var done = new TaskCompletionSource();
            SimProcess reader = b.Start("reader", async self =>
            {
                network.Listen(self, "data", async stream =>
                {
                    end = await Record.ExceptionAsync(() => ReadAll(stream, received, self.Time));
                    done.SetResult();
                });
                await done.Task;
            });
            SimProcess writer = a.Start("writer", async self =>
            {
                Stream stream = await network.ConnectAsync(self, b, "data", default);
                for (int i = 0; i < Message.Length; i += 1000)
                {
                    await stream.WriteAsync(Message.AsMemory(i, 1000));
                    await Task.Delay(TimeSpan.FromMilliseconds(1), self.Time);
                }

                await stream.DisposeAsync();
            });
            await simulator.DelayAsync(TimeSpan.FromMilliseconds(70));
            strike(network, writer, reader);
            await reader.Ended;
        });
        return ([.. received], end);
    }

    private static async Task ReadAll(Stream stream, List<byte> received, TimeProvider time)
    {
        byte[] buffer = new byte[3000];
        while (true)
        {
            using var silence = new CancellationTokenSource(TimeSpan.FromMinutes(2), time);
            try
            {
                int count = await stream.ReadAsync(buffer, silence.Token);
                if (count == 0)
                {
                    return;
                }

                received.AddRange(buffer.AsSpan(0, count));
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException();
            }
        }
    }
}
