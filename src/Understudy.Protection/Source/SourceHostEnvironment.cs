using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Source;

/// <summary>What a source asks of the hypervisor of its host.</summary>
public sealed record SourceMachine(
    IVmInventory Inventory, IVmCapture Capture, IVmLifecycle Lifecycle, IStoppedDisks Stopped, IImageTool Images);

/// <summary>Everything a protected VM needs at its source.</summary>
/// <param name="Store">A folder of its own, for state and spool.</param>
/// <param name="Peer">The target's host.</param>
/// <param name="Limiter">Shared by all sources of the host.</param>
/// <param name="Ownership">Shared by all sources of the host.</param>
public sealed record SourceHostEnvironment(
    SourceMachine Machine,
    IFileStore Store,
    Guid Peer,
    IPeerConnector Connector,
    CaptureLimiter Limiter,
    ISourceEvents Events,
    OwnershipServices Ownership,
    IIdSource Ids,
    string Software,
    ILogger<SourceVm> Logger)
{
    internal SourceEnvironment OfEngine(OwnershipToken token) => new(
        Machine.Inventory, Machine.Capture, Machine.Stopped, token, Store, Connector, Limiter, Events, Ownership.Time, Ids, Software, Logger);

    internal GuestEnvironment OfGuest(OwnershipToken token) =>
        new(Machine.Inventory, Machine.Lifecycle, Store, token, Events, Ownership.Time, Ids, Logger);
}
