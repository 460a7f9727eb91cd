using Understudy.Protection.Ports;
using Understudy.Testing.Simulation;

namespace Understudy.Simulation.Machines;

/// <summary>Images as block devices of a host: a storage daemon for each set, and a name that is another one in each of its lives.</summary>
internal sealed class ModelHostDevices(ModelMachine machine, SimProcess agent) : IHostDevices
{
    private readonly ModelMachine _machine = machine;
    private readonly SimProcess _agent = agent;
    private readonly ModelDaemons _daemons = new(machine, agent);

    public async ValueTask<string?> FindObstacleAsync(CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        return null;
    }

    public async ValueTask<IReadOnlyList<string>> EnsureAsync(HostDeviceSet set, CancellationToken cancellationToken)
    {
        StorageDaemonFacts daemon = await _daemons.EnsureAsync(DaemonOf(set), cancellationToken);
        return [.. set.Devices.Select(device => $"/dev/loop-{daemon.ProcessId}-{device.Name}")];
    }

    /// <summary>Now and then somebody has one of them open.</summary>
    public async ValueTask<string?> TryRemoveAsync(HostDeviceSet set, CancellationToken cancellationToken)
    {
        await _machine.TakeTimeAsync(_agent, cancellationToken);
        if (_machine.Daemons.ContainsKey(set.Name) && _machine.IsDeviceOpen())
        {
            return $"a device of {set.Name} is in use on this host (simulated)";
        }

        await _daemons.StopAsync(set.Name, "", cancellationToken);
        return null;
    }

    /// <summary>Compared by content: the same set is the same daemon.</summary>
    private StorageDaemonSpec DaemonOf(HostDeviceSet set)
    {
        StorageExport[] exports = [.. set.Devices.Select(device => new StorageExport(device.Name, device.Backing, device.Writable, File: $"{set.Folder}/{device.Name}"))];
        return _machine.Daemons.GetValueOrDefault(set.Name) is { } running && running.Spec.Exports.SequenceEqual(exports)
            ? running.Spec
            : new StorageDaemonSpec(set.Name, "", ForGuests: false, exports);
    }
}
