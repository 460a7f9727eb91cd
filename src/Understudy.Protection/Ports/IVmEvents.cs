using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ports;

/// <summary>
/// Hints that something changed, to wake whoever watches it. Events get lost (a slow reader, a restart of the
/// hypervisor's daemon), so a watcher reads the state itself each time, and again at
/// <see cref="VmEventKind.Connected"/> and <see cref="VmEventKind.Missed"/>.
/// </summary>
public interface IVmEvents
{
    /// <summary>Events from now on; ends only with its token. Each watcher has a bounded queue of its own.</summary>
    IAsyncEnumerable<VmEvent> WatchAsync(CancellationToken cancellationToken);
}

public enum VmEventKind
{
    /// <summary>The hypervisor answers (again): everything known of it may be old.</summary>
    Connected,

    Disconnected,

    /// <summary>Events were dropped because the watcher was slow: everything known may be old.</summary>
    Missed,

    /// <summary>Defined, started, suspended, resumed, stopped, crashed, …</summary>
    Lifecycle,

    /// <summary>A write or read of the VM failed; it may be paused.</summary>
    IoError,

    BlockJob,

    /// <summary>A backup, migration, save or dump ended.</summary>
    JobEnded,

    GuestAgent,
}

/// <param name="Vm">Null for events of the connection.</param>
/// <param name="TargetDevice">The disk (vda), where there is one.</param>
/// <param name="Detail">For logs and people; nothing is decided by it.</param>
public sealed record VmEvent(VmEventKind Kind, VmId? Vm, string? TargetDevice, string Detail);
