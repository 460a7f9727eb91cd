using Understudy.Model;

namespace Understudy.Plans;

/// <summary>
/// Before a planned failover takes anything down: would the VM start at the target, is its source able to send the last change,
/// and does its fence hold? What can be known now must not be found out with the guest off.
/// </summary>
public static class FailoverChecks
{
    /// <summary>What its target says of the replica by itself: nothing can be started from it as long as that is so, whatever becomes of the source.</summary>
    /// <param name="replica">Null when it has not reported yet.</param>
    public static ErrorInfo? OfReplica(TargetReport? replica) => replica?.Error is { Code: "replica-leaving" or "replica-unavailable" } error ? error : null;

    /// <param name="facts">Of the target; null when it has not reported yet.</param>
    /// <param name="guardProblem">Why the start guard of the source's host is not in force; null when it is.</param>
    /// <returns>Null when nothing is in the way.</returns>
    public static ErrorInfo? Evaluate(ProtectedVm vm, DiscoveredVm discovered, string target, HostFacts? facts, SourceReport? source, string sourceHost = "", string? guardProblem = null)
    {
        if (source?.Error is { } error)
        {
            return error;
        }

        // Of a VM whose points are whole: a disk that was added and is not in them yet. The guest would be off for its copy.
        if (source is { Phase: SourcePhase.Protected, Disks: { } disks } && disks.FirstOrDefault(disk => disk.BytesDone < disk.BytesTotal) is { } joining)
        {
            return Errors.DiskCopying(vm.Name, joining.TargetDevice, joining.BytesDone, joining.BytesTotal);
        }

        if (guardProblem is not null)
        {
            return Errors.GuardOff(sourceHost, guardProblem);
        }

        if (discovered.HasSavedState)
        {
            return Errors.SavedState(discovered.Name);
        }

        if (facts is null)
        {
            return null;
        }

        long memory = vm.MemoryBytes ?? discovered.MemoryBytes;
        if (facts.FreeMemoryBytes < memory)
        {
            return Errors.NoMemory(target, memory, facts.FreeMemoryBytes);
        }

        return vm.Nics.Select(nic => nic.TargetNetwork).FirstOrDefault(name => name is not null && facts.Networks.All(network => network.Name != name)) is { } missing
            ? Errors.UnknownNetwork(target, missing)
            : null;
    }
}
