using Understudy.Blocks;
using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;
using Understudy.Testing.Simulation.Network;

namespace Understudy.Simulation.Machines;

/// <summary>One agent process's UNIX sockets.</summary>
internal sealed class ModelSockets(ModelMachine machine, SimProcess agent) : ILocalSockets
{
    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _agent = agent;

    public async ValueTask<ILocalListener> ListenAsync(string path, CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        return new Listener(_machine.Sockets.Listen(_agent, path));
    }

    public async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        try
        {
            return _machine.Sockets.Connect(_agent, path);
        }
        catch (IOException refused)
        {
            throw new StorageException(FaultKind.Io, path, refused.Message, inner: refused);
        }
    }

    private sealed class Listener(SimLocalListener listener) : ILocalListener
    {
        private readonly SimLocalListener _listener = listener;

        public ValueTask<Stream> AcceptAsync(CancellationToken cancellationToken) => _listener.AcceptAsync(cancellationToken);

        public ValueTask DisposeAsync()
        {
            _listener.Dispose();
            return default;
        }
    }
}
