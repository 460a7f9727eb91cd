using Understudy.Blocks;
using Understudy.Nbd;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>
/// QEMU's NBD driver in some process of a host: one connection to an export. With a reconnect delay, requests wait that
/// long for a server that went away; without one they fail, and the node is dead for good (as libvirt makes it).
/// </summary>
internal sealed class NbdNode(ModelMachine machine, SimProcess process, string socket, string export, TimeSpan reconnectDelay)
{
    private static readonly TimeSpan BetweenTries = TimeSpan.FromMilliseconds(500);

    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _process = process;
    private readonly TimeSpan _reconnectDelay = reconnectDelay;
    private NbdClient? _client;
    private long _lostAtTicks;

    public string Socket { get; } = socket;

    public string Export { get; } = export;

    public long SizeBytes => _client?.SizeBytes ?? throw new InvalidOperationException("not connected yet");

    /// <exception cref="StorageException">Nobody answers, or not with this export.</exception>
    public async Task ConnectAsync()
    {
        try
        {
            Stream stream = _machine.Sockets.Connect(_process, Socket);
            _client = await NbdClient.ConnectAsync(stream, new NbdClientOptions { Export = Export, MaxInFlight = 2 }, default);
        }
        catch (IOException refused)
        {
            throw new StorageException(FaultKind.Io, Socket, refused.Message, inner: refused);
        }
    }

    public async Task CloseAsync()
    {
        if (_client is { } client)
        {
            _client = null;
            await client.DisposeAsync();
        }
    }

    public async Task ReadAsync(long offset, Memory<byte> buffer)
    {
        while (true)
        {
            if (_client is { IsConnected: true } client)
            {
                try
                {
                    await client.ReadAsync(offset, buffer, default);
                    return;
                }
                catch (StorageException) when (!client.IsConnected)
                {
                    _lostAtTicks = _process.Simulator.NowTicks;
                }
            }

            await ReconnectAsync();
        }
    }

    /// <summary>Once the delay is over each request makes one attempt and then fails.</summary>
    private async Task ReconnectAsync()
    {
        while (_reconnectDelay > TimeSpan.Zero)
        {
            try
            {
                await _process.TakeTimeAsync(BetweenTries);
                await ConnectAsync();
                return;
            }
            catch (StorageException) when (_process.Simulator.NowTicks - _lostAtTicks < _reconnectDelay.Ticks)
            {
                // Not yet.
            }
        }

        throw new StorageException(FaultKind.Io, Socket, "the connection to the NBD server is gone (simulated)");
    }
}
