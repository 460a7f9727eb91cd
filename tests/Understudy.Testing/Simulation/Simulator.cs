namespace Understudy.Testing.Simulation;

/// <summary>
/// One run: a scheduler that owns every continuation and every timer, on the thread that called <see cref="Run"/>.
/// At each step the seed picks one of the ready continuations; when none is ready, time jumps to the next timer.
///
/// Rules. (1) Everything inside runs under the <see cref="SynchronizationContext"/> of a <see cref="SimProcess"/>; a
/// continuation that arrives from another thread ends the run (<see cref="EscapedException"/>), and so does a wait for
/// something that only another thread could bring (<see cref="NothingReadyException"/>). (2) A killed process runs
/// nothing any more: no finally, no Dispose, as after kill -9. (3) Kills happen between steps, so at any await that
/// did not complete at once; every model of I/O yields at least once.
/// Decision: docs/decisions/determinism.md.
/// </summary>
public sealed class Simulator
{
    private readonly List<ReadyWork> _ready = [];
    private readonly PriorityQueue<DueTimer, (long DueTicks, long Order)> _timers = new();
    private readonly List<Action> _interrupts = [];
    private readonly SimRandom _order;
    private readonly double _orderliness;
    private readonly double _lateness;
    private readonly SimulatorLimits _limits;
    private readonly int _threadId = Environment.CurrentManagedThreadId;
    private volatile string? _escape;
    private long _timerOrder;
    private int _processCount;

    public Simulator(ulong seed, SimTrace? trace = null, SimulatorLimits? limits = null)
    {
        Seed = seed;
        Trace = trace ?? new SimTrace();
        _limits = limits ?? new SimulatorLimits();
        Random = new SimRandom(seed);
        _order = Random.Fork(1);

        // Some runs are nearly in order, some wholly shuffled; in some, timers overtake ready work (a busy machine).
        _orderliness = _order.Chance(0.5) ? _order.NextFraction() : 0;
        _lateness = _order.Chance(0.5) ? _order.NextFraction() * 0.05 : 0;
        Root = new SimProcess(this, host: null, "world", ++_processCount);
    }

    public ulong Seed { get; }

    /// <summary>Where models take their forks from, while the run is being set up.</summary>
    public SimRandom Random { get; }

    public SimTrace Trace { get; }

    /// <summary>The scope of the harness, of checkers and of the world's own machinery; nobody kills it.</summary>
    public SimProcess Root { get; }

    /// <summary>Monotonic simulated time since the start, in 100 ns ticks.</summary>
    public long NowTicks { get; private set; }

    public long Steps { get; private set; }

    /// <summary>Called after every step; for checkers that look at something each time.</summary>
    public Action? AfterStep { get; set; }

    /// <summary>Runs <paramref name="main"/> in the root scope until it has completed.</summary>
    public void Run(Func<Task> main)
    {
        if (Environment.CurrentManagedThreadId != _threadId)
        {
            throw new SimulationException("a simulator runs on the thread that made it");
        }

        SynchronizationContext? before = SynchronizationContext.Current;
        try
        {
            SynchronizationContext.SetSynchronizationContext(Root.Context);
            Task task = main();
            while (!task.IsCompleted)
            {
                Step();
            }

            ThrowIfEscaped();
            task.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    /// <summary>Runs <paramref name="action"/> before the next step, outside every process: where kills belong.</summary>
    public void Interrupt(Action action) => _interrupts.Add(action);

    /// <summary>Waits in the scope of the caller.</summary>
    public Task DelayAsync(TimeSpan delay) => Task.Delay(delay, Root.Time);

    internal int NextProcessNumber() => ++_processCount;

    internal void Post(SimProcess process, SendOrPostCallback callback, object? state)
    {
        if (Environment.CurrentManagedThreadId != _threadId)
        {
            _escape ??= $"a continuation of process '{process.Name}' came from another thread:\n{Environment.StackTrace}";
            return;
        }

        if (process.IsAlive)
        {
            _ready.Add(new ReadyWork(process, callback, state));
        }
    }

    internal void SetTimer(SimTimer timer, long dueTicks)
    {
        ThrowIfForeign(timer);
        _timers.Enqueue(new DueTimer(timer, timer.Version), (dueTicks, ++_timerOrder));
    }

    internal void Drop(SimProcess process) => _ready.RemoveAll(work => work.Process == process);

    private void Step()
    {
        ThrowIfEscaped();
        if (++Steps > _limits.Steps || NowTicks > _limits.Time.Ticks)
        {
            throw new SimulationLimitException($"not done after {Steps} steps and {TimeSpan.FromTicks(NowTicks)} of simulated time");
        }

        for (int i = 0; i < _interrupts.Count; i++)
        {
            _interrupts[i]();
        }

        _interrupts.Clear();
        if (_ready.Count == 0 || (_lateness > 0 && _order.Chance(_lateness) && NextTimerIsClose()))
        {
            FireNextTimer();
            return;
        }

        RunOne();
        AfterStep?.Invoke();
    }

    private void RunOne()
    {
        int index = _orderliness > 0 && _order.Chance(_orderliness) ? 0 : _order.Next(_ready.Count);
        ReadyWork work = _ready[index];
        Trace.Step(work.Process.Number, NowTicks, _ready.Count);
        _ready.RemoveAt(index);
        SynchronizationContext.SetSynchronizationContext(work.Process.Context);
        work.Callback(work.State);
        SynchronizationContext.SetSynchronizationContext(Root.Context);
    }

    /// <summary>A busy machine delays ready work by this much, not by the hours until some far timer.</summary>
    private bool NextTimerIsClose() =>
        _timers.TryPeek(out _, out (long DueTicks, long Order) key) && key.DueTicks - NowTicks < 50 * TimeSpan.TicksPerMillisecond;

    private void FireNextTimer()
    {
        while (_timers.TryDequeue(out DueTimer due, out (long DueTicks, long Order) key))
        {
            if (due.Timer.Version != due.Version || !due.Timer.Process.IsAlive)
            {
                continue; // Changed, disposed, or its process is gone.
            }

            NowTicks = Math.Max(NowTicks, key.DueTicks);
            due.Timer.Fire();
            return;
        }

        if (_ready.Count == 0)
        {
            throw new NothingReadyException(
                "nothing is ready: the run waits for something that nobody inside it will bring (an await that left "
                + "the simulation through Task.Run, ConfigureAwait or a real timer, or a deadlock)");
        }
    }

    private void ThrowIfEscaped()
    {
        if (_escape is { } escape)
        {
            throw new EscapedException(escape);
        }
    }

    private void ThrowIfForeign(SimTimer timer)
    {
        if (Environment.CurrentManagedThreadId != _threadId)
        {
            _escape ??= $"a timer of process '{timer.Process.Name}' was set from another thread:\n{Environment.StackTrace}";
            throw new EscapedException(_escape);
        }
    }

    private readonly record struct ReadyWork(SimProcess Process, SendOrPostCallback Callback, object? State);

    private readonly record struct DueTimer(SimTimer Timer, int Version);
}

/// <summary>What a run may use before it counts as one that never ends.</summary>
public sealed record SimulatorLimits
{
    public long Steps { get; init; } = 2_000_000;

    public TimeSpan Time { get; init; } = TimeSpan.FromDays(2);
}
