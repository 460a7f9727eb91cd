using Understudy.Protection.Ports;

namespace Understudy.Protection.Tests.Target.World;

/// <summary>Block devices of the host; they outlive the agent. One whose name is in <see cref="ModelHost.DevicesInUse"/> stays.</summary>
internal sealed class ModelDevices(ModelHost host) : IHostDevices
{
    public ValueTask<string?> FindObstacleAsync(CancellationToken cancellationToken) => new((string?)null);

    public ValueTask<IReadOnlyList<string>> EnsureAsync(HostDeviceSet set, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            host.Devices[set.Name] = set;
            return new([.. set.Devices.Select(device => $"/dev/{set.Name}-{device.Name}")]);
        }
    }

    public ValueTask<string?> TryRemoveAsync(HostDeviceSet set, CancellationToken cancellationToken)
    {
        lock (host.Lock)
        {
            if (host.DevicesInUse.Contains(set.Name))
            {
                return new($"{set.Name} is in use");
            }

            host.Devices.Remove(set.Name);
            return new((string?)null);
        }
    }
}
