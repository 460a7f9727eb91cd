namespace Understudy.Testing.Simulation;

/// <summary>Why a process is gone: decides what the kernel it ran on still does for it.</summary>
public enum ProcessEnd
{
    /// <summary>Its main task completed.</summary>
    Returned,

    /// <summary>kill -9: files and sockets are closed by the kernel, the page cache stays.</summary>
    Killed,

    /// <summary>The whole machine went: nobody closes anything, peers hear nothing.</summary>
    PowerLost,
}

/// <summary>
/// A scope of continuations and timers that can be dropped as one. Everything a process opens registers here, so that
/// its end closes it the way a kernel would.
/// </summary>
public sealed class SimProcess
{
    private readonly List<Action<ProcessEnd>> _atEnd = [];
    private readonly TaskCompletionSource<ProcessEnd> _ended = new();

    internal SimProcess(Simulator simulator, SimHost? host, string name, int number)
    {
        Simulator = simulator;
        Host = host;
        Name = name;
        Number = number;
        Context = new ProcessContext(this);
        Time = new SimTime(this);
    }

    public Simulator Simulator { get; }

    public SimHost? Host { get; }

    public string Name { get; }

    public int Number { get; }

    public bool IsAlive { get; private set; } = true;

    /// <summary>The clock and the timers this process may use.</summary>
    public TimeProvider Time { get; }

    /// <summary>Completes, for whoever waits from another scope, when the process is gone.</summary>
    public Task<ProcessEnd> Ended => _ended.Task;

    /// <summary>What its main task threw; null while it runs, when it returned, and when it was killed.</summary>
    public Exception? Failure { get; private set; }

    internal SynchronizationContext Context { get; }

    /// <summary>Called when the process is gone, in reverse order of registration.</summary>
    public void AtEnd(Action<ProcessEnd> action) => _atEnd.Add(action);

    /// <summary>Ends it at the next step at the latest; safe to call from inside the process itself.</summary>
    public void Kill() => Simulator.Interrupt(() => End(ProcessEnd.Killed));

    /// <summary>
    /// Time for a model to take. Always yields: Task.Delay cuts to whole milliseconds and completes at once for none, and
    /// where nothing yields nobody can be killed.
    /// </summary>
    public Task TakeTimeAsync(TimeSpan time)
    {
        var done = new TaskCompletionSource();
        Time.CreateTimer(static done => ((TaskCompletionSource)done!).SetResult(), done, time, Timeout.InfiniteTimeSpan);
        return done.Task;
    }

    /// <summary>
    /// Runs something in this process's scope for a caller in another one: a request that a server of this process carries
    /// out. When the process ends first, the caller sees an <see cref="IOException"/>, as on a socket.
    /// </summary>
    public Task<T> InvokeAsync<T>(Func<Task<T>> work)
    {
        var done = new TaskCompletionSource<T>();
        if (!IsAlive)
        {
            done.SetException(new IOException($"{Name} is gone (simulated)"));
            return done.Task;
        }

        AtEnd(_ => done.TrySetException(new IOException($"{Name} ended (simulated)")));
        Context.Post(_ => Carry(work, done), null);
        return done.Task;
    }

    internal void Start(Func<SimProcess, Task> main) => Context.Post(_ => Watch(main(this)), null);

    internal void End(ProcessEnd end)
    {
        if (!IsAlive)
        {
            return;
        }

        IsAlive = false;
        Simulator.Drop(this);
        Simulator.Trace.Event(Simulator.NowTicks, Name, "process ends", end.ToString());
        for (int i = _atEnd.Count - 1; i >= 0; i--)
        {
            _atEnd[i](end);
        }


        // At a step of its own: whoever waits must not run in the middle of a power loss.
        Simulator.Root.Context.Post(_ => _ended.TrySetResult(end), null);
    }

    private static async void Carry<T>(Func<Task<T>> work, TaskCompletionSource<T> done)
    {
        try
        {
            done.TrySetResult(await work());
        }
#pragma warning disable CA1031 // Whatever it was is the caller's to judge.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            done.TrySetException(exception);
        }
    }

    private async void Watch(Task main)
    {
        try
        {
            await main;
        }
#pragma warning disable CA1031 // Whatever ended a process is for the harness to judge, as an exit code would be.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Failure = exception;
        }

        Simulator.Interrupt(() => End(ProcessEnd.Returned));
    }

    private sealed class ProcessContext(SimProcess process) : SynchronizationContext
    {
        private readonly SimProcess _process = process;

        public override void Post(SendOrPostCallback d, object? state) => _process.Simulator.Post(_process, d, state);

        public override void Send(SendOrPostCallback d, object? state) =>
            throw new SimulationException("Send would run code outside the scheduler's order");

        public override SynchronizationContext CreateCopy() => this;
    }
}
