namespace Understudy.Testing.Simulation;

/// <summary>The run itself is broken, not the thing under test: it can no longer say anything.</summary>
public class SimulationException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No continuation is ready and no timer is set, yet the run is not over.</summary>
public sealed class NothingReadyException(string message) : SimulationException(message);

/// <summary>Code inside the simulation went on on a thread that is not the simulator's.</summary>
public sealed class EscapedException(string message) : SimulationException(message);

/// <summary>More steps, or more simulated time, than the run may take.</summary>
public sealed class SimulationLimitException(string message) : SimulationException(message);
