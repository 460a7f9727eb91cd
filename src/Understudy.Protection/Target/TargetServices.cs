using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Journal;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Target;

/// <summary>What every replica on a host uses; one for the whole agent.</summary>
public sealed record TargetServices(
    IHypervisor Hypervisor,
    IStorageDaemons Daemons,
    IImageTool Images,
    IHostDevices Devices,
    ILocalSockets Sockets,
    TimeProvider Time,
    IIdSource Ids,
    OwnershipServices Ownership,
    TargetSettings Settings,
    ILogger Logger)
{
    /// <summary>Where events of this side go, as those of a source do; null where nobody listens.</summary>
    public ISourceEvents? News { get; init; }

    /// <summary>Numbers of bubbles, shared by all replicas of the host.</summary>
    internal BubbleNumbers Bubbles { get; } = new(Hypervisor);
}

/// <summary>What an administrator may set about the recovery side.</summary>
public sealed record TargetSettings
{
    /// <summary>Sockets; short, gone after a reboot: /run/understudy.</summary>
    public required string RuntimeFolder { get; init; }

    /// <summary>Output of guests' serial ports, one folder a VM.</summary>
    public required string LogFolder { get; init; }

    /// <summary>A guest's read waits this long for the agent's view server before it fails and the guest pauses.</summary>
    public TimeSpan ReconnectDelay { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How often running recovery VMs are looked at: the longest a healed pause goes on unnoticed.</summary>
    public TimeSpan WatchEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often the oldest recovery point is moved forward, and a waiting commit looks again.</summary>
    public TimeSpan HousekeepingEvery { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often a block job under way is looked at.</summary>
    public TimeSpan JobPollEvery { get; init; } = TimeSpan.FromMilliseconds(100);

    public ReplicaSettings Journal { get; init; } = ReplicaSettings.Default;
}
