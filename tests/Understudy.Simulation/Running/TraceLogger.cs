using Microsoft.Extensions.Logging;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Running;

/// <summary>Log messages of the product between the events of a replay.</summary>
internal sealed class TraceLogger(Simulator simulator) : ILogger
{
    private readonly Simulator _simulator = simulator;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Debug;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _simulator.Trace.Note(_simulator.NowTicks, logLevel.ToString().ToUpperInvariant(), formatter(state, exception));
}

/// <summary>The same for classes that ask for a logger of their own.</summary>
internal sealed class TraceLogger<T>(ILogger inner) : ILogger<T>
{
    private readonly ILogger _inner = inner;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => _inner.IsEnabled(logLevel);

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _inner.Log(logLevel, eventId, state, exception, formatter);
}
