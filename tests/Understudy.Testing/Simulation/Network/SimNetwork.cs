namespace Understudy.Testing.Simulation.Network;

/// <summary>
/// The network between hosts. A stall is also what a cut cable looks like to TCP for a while: nothing arrives, nobody
/// is told, and what was sent arrives when the stall ends. A host that lost power never answers (half-open); once it is
/// up again it answers what it does not know with a reset.
/// </summary>
public sealed class SimNetwork
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(20);
    private readonly Dictionary<(string Host, string Port), Listener> _listeners = [];
    private readonly Dictionary<(string From, string To), long> _stalledUntil = [];
    private readonly List<SimConnection> _connections = [];
    private readonly SimRandom _random;
    private readonly TimeSpan _delay;

    public SimNetwork(Simulator simulator)
    {
        Simulator = simulator;
        _random = simulator.Random.Fork(3);
        _delay = _random.Between(TimeSpan.FromMicroseconds(50), TimeSpan.FromMilliseconds(20));
    }

    public Simulator Simulator { get; }

    public long CarriedBytes { get; private set; }

    public long Pieces { get; private set; }

    public long Connections { get; private set; }

    public long ConnectionsCut { get; private set; }

    /// <summary>Calls <paramref name="accept"/> in the scope of the listening process for each connection.</summary>
    public void Listen(SimProcess process, string port, Func<Stream, Task> accept)
    {
        SimHost host = HostOf(process);
        var listener = new Listener(process, accept);
        _listeners[(host.Name, port)] = listener;
        process.AtEnd(_ =>
        {
            if (_listeners.TryGetValue((host.Name, port), out Listener? current) && current == listener)
            {
                _listeners.Remove((host.Name, port));
            }
        });
    }

    public async ValueTask<Stream> ConnectAsync(SimProcess client, SimHost to, string port, CancellationToken cancellationToken)
    {
        SimHost from = HostOf(client);
        long arrival = ArrivalTicks(from, to);
        long stall = Math.Max(StalledUntilTicks(from, to), StalledUntilTicks(to, from));
        bool silent = !to.IsUp || stall > Simulator.NowTicks + ConnectTimeout.Ticks;
        long wait = silent ? ConnectTimeout.Ticks : 2 * (Math.Max(arrival, stall) - Simulator.NowTicks);
        await client.TakeTimeAsync(TimeSpan.FromTicks(wait)).WaitAsync(cancellationToken);
        if (silent || !to.IsUp)
        {
            throw new IOException("connecting timed out (simulated)");
        }

        if (!_listeners.TryGetValue((to.Name, port), out Listener? listener))
        {
            throw new IOException("connection refused (simulated)");
        }

        var connection = new SimConnection(this, client, listener.Process, _random.Fork(4));
        _connections.Add(connection);
        Connections++;
        Simulator.Trace.Event(Simulator.NowTicks, client.Name, "connected", to.Name, Connections);
        listener.Process.Context.Post(_ => Watch(listener.Accept(connection.ServerEnd)), null);
        return connection.ClientEnd;
    }

    /// <summary>Resets every connection there is, each at its own byte.</summary>
    public void CutAll()
    {
        Cuts++;
        Simulator.Trace.Event(Simulator.NowTicks, "network", "cut", "", _connections.Count);
        foreach (SimConnection connection in _connections)
        {
            ConnectionsCut++;
            connection.Break();
        }

        _connections.Clear();
    }

    /// <summary>Nothing from one host arrives at the other for a while; one direction only.</summary>
    public void Stall(SimHost from, SimHost to, TimeSpan time)
    {
        Simulator.Trace.Event(Simulator.NowTicks, "network", "stall", $"{from.Name} to {to.Name}", time.Ticks);
        _stalledUntil[(from.Name, to.Name)] = Simulator.NowTicks + time.Ticks;
    }

    public bool IsStalled(SimHost from, SimHost to) => StalledUntilTicks(from, to) > Simulator.NowTicks;

    /// <summary>How often all connections were cut.</summary>
    public long Cuts { get; private set; }

    /// <summary>Nothing is stalled any more.</summary>
    public void Heal() => _stalledUntil.Clear();

    internal void At(long dueTicks, Action action)
    {
        TimeSpan wait = TimeSpan.FromTicks(Math.Max(0, dueTicks - Simulator.NowTicks));
        Simulator.Root.Time.CreateTimer(static action => ((Action)action!)(), action, wait, Timeout.InfiniteTimeSpan);
    }

    internal long ArrivalTicks(SimHost from, SimHost to)
    {
        long sent = Math.Max(Simulator.NowTicks, StalledUntilTicks(from, to));
        return sent + (long)(_delay.Ticks * (0.5 + _random.NextFraction()));
    }

    internal long StalledUntilTicks(SimHost from, SimHost to) => _stalledUntil.GetValueOrDefault((from.Name, to.Name));

    internal void Carried(int bytes)
    {
        CarriedBytes += bytes;
        Pieces++;
        Simulator.Trace.Event(Simulator.NowTicks, "network", "arrives", "", bytes);
    }

    private static SimHost HostOf(SimProcess process) =>
        process.Host ?? throw new SimulationException("only a process of a host has a network");

    private static async void Watch(Task accepted) => await accepted;

    private sealed record Listener(SimProcess Process, Func<Stream, Task> Accept);
}
