using Understudy.Model;

namespace Understudy.Plans;

/// <summary>CPUs and memory that somebody chose for a VM at its target: what can never start there is refused when it is said.</summary>
public static class HardwareChecks
{
    private const int MostCpus = 4096;
    private const long LeastMemoryBytes = 1L << 20;

    /// <param name="facts">Of the target; null when it has not reported yet.</param>
    /// <param name="machineType">Of the VM; null when it is not known.</param>
    /// <returns>Null when nothing is in the way.</returns>
    public static ErrorInfo? Evaluate(int? cpus, long? memoryBytes, string target, HostFacts? facts, string? machineType)
    {
        int most = machineType is not null && facts?.MachineCpus?.TryGetValue(machineType, out int known) == true ? known : MostCpus;
        if (cpus < 0 || cpus > most)
        {
            return Errors.BadValue("cpus", $"{cpus}", $"1 to {most}{(most == MostCpus ? "" : $" at {target} for machine type {machineType}")}, or 0 for as many as at the source");
        }

        if (memoryBytes is < 0 or (> 0 and < LeastMemoryBytes))
        {
            return Errors.BadValue("memoryBytes", $"{memoryBytes}", $"at least {Sizes.Format(LeastMemoryBytes)}, or 0 for as much as at the source");
        }

        return memoryBytes is { } wanted && facts is { MemoryBytes: > 0 } && wanted > facts.MemoryBytes
            ? Errors.BadValue("memoryBytes", $"{wanted}", $"host {target} has {Sizes.Format(facts.MemoryBytes)} in all")
            : null;
    }
}
