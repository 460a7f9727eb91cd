using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Tests.Kernel;

public sealed class SimLocalSocketsTests
{
    private static readonly byte[] Message = [.. Enumerable.Range(0, 600_000).Select(i => (byte)(i * 7))];

    [Fact]
    public void Bytes_arrive_whole_and_in_order_then_the_end() => Run(async (_, client, stream) =>
    {
        await stream.WriteAsync(Message);
        await stream.DisposeAsync();
        await client.TakeTimeAsync(TimeSpan.FromSeconds(1));
    }, received => Assert.Equal(Message, received));

    [Fact]
    public void A_killed_writer_ends_what_its_reader_gets() => Run(async (_, client, stream) =>
    {
        await stream.WriteAsync(Message.AsMemory(0, 1000));
        client.Kill();
        await client.TakeTimeAsync(TimeSpan.FromSeconds(1));
    }, received => Assert.Equal(Message[..1000], received));

    [Fact]
    public void A_killed_reader_is_seen_by_its_writer() => Run(async (server, client, stream) =>
    {
        server.Kill();
        await client.TakeTimeAsync(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAsync<IOException>(async () => await stream.WriteAsync(Message));
    }, Assert.Empty);

    [Fact]
    public void Nobody_answers_on_a_socket_whose_process_is_gone()
    {
        var simulator = new Simulator(1);
        simulator.Run(async () =>
        {
            var sockets = new SimLocalSockets();
            var host = new SimHost(simulator, "host");
            SimProcess server = host.Start("server", async self =>
            {
                sockets.Listen(self, "/run/x");
                await self.TakeTimeAsync(TimeSpan.FromSeconds(1));
            });
            await simulator.DelayAsync(TimeSpan.FromMilliseconds(100));
            Assert.True(sockets.IsListening("/run/x"));
            await server.Ended;
            Assert.Throws<IOException>(() => sockets.Connect(simulator.Root, "/run/x"));
        });
    }

    private static void Run(Func<SimProcess, SimProcess, Stream, Task> write, Action<byte[]> check)
    {
        var simulator = new Simulator(1);
        simulator.Run(async () =>
        {
            var sockets = new SimLocalSockets();
            var host = new SimHost(simulator, "host");
            var received = new MemoryStream();
            SimProcess server = host.Start("server", async self =>
            {
                using SimLocalListener listener = sockets.Listen(self, "/run/x");
                await using Stream stream = await listener.AcceptAsync(default);
                byte[] buffer = new byte[10_000];
                for (int count; (count = await stream.ReadAsync(buffer)) > 0;)
                {
                    received.Write(buffer, 0, count);
                }
            });
            await simulator.DelayAsync(TimeSpan.FromMilliseconds(100));
            SimProcess client = host.Start("client", async self => await write(server, self, sockets.Connect(self, "/run/x")));
            await client.Ended;
            await server.Ended;
            Assert.Null(client.Failure);
            Assert.Null(server.Failure);
            check(received.ToArray());
        });
    }
}
