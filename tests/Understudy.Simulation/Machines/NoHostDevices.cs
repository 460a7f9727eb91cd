using Understudy.Protection.Ports;

namespace Understudy.Simulation.Machines;

/// <summary>A host that cannot show images as block devices, and says so: points are read by tests and exports here.</summary>
internal sealed class NoHostDevices : IHostDevices
{
    public ValueTask<string?> FindObstacleAsync(CancellationToken cancellationToken) => new("this host has no block devices to give out (simulated)");

    public ValueTask<IReadOnlyList<string>> EnsureAsync(HostDeviceSet set, CancellationToken cancellationToken) =>
        throw new InvalidOperationException($"{set.Name} was asked for at a host that had said it cannot");

    public ValueTask<string?> TryRemoveAsync(HostDeviceSet set, CancellationToken cancellationToken) => new((string?)null);
}
