namespace Understudy.Testing.Simulation.Network;

/// <summary>A connection between two processes, with what their kernels do when an end closes, dies or loses power.</summary>
internal sealed class SimConnection
{
    private readonly SimPipe _forth;
    private readonly SimPipe _back;
    private bool _broken;

    public SimConnection(SimNetwork network, SimProcess client, SimProcess server, SimRandom random)
    {
        SimHost here = client.Host!; // Only processes of hosts can connect or listen: SimNetwork checks.
        SimHost there = server.Host!;
        _forth = new SimPipe(network, here, there, random);
        _back = new SimPipe(network, there, here, random);
        _forth.OnUnwanted = () => Refuse(there);
        _back.OnUnwanted = () => Refuse(here);
        ClientEnd = new SimStream(_back, _forth, () => Close(_forth, _back));
        ServerEnd = new SimStream(_forth, _back, () => Close(_back, _forth));
        client.AtEnd(end => EndOf(end, outgoing: _forth, incoming: _back));
        server.AtEnd(end => EndOf(end, outgoing: _back, incoming: _forth));
    }

    public SimStream ClientEnd { get; }

    public SimStream ServerEnd { get; }

    /// <summary>Cut in the middle: both sides see a reset.</summary>
    public void Break()
    {
        if (!_broken)
        {
            _broken = true;
            _forth.Break();
            _back.Break();
        }
    }

    private static void Close(SimPipe outgoing, SimPipe incoming)
    {
        outgoing.End();
        incoming.ReaderGone = true;
    }

    private void EndOf(ProcessEnd end, SimPipe outgoing, SimPipe incoming)
    {
        incoming.ReaderGone = true;
        if (end != ProcessEnd.PowerLost && !outgoing.IsEnding)
        {
            outgoing.Signal(Break);
        }
    }

    /// <summary>Data for an end that is gone is answered with a reset, when there is a machine to answer.</summary>
    private void Refuse(SimHost host)
    {
        if (host.IsUp)
        {
            Break();
        }
    }
}
