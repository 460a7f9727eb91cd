using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source.Guest;

/// <summary>What the keeper of a guest needs from outside.</summary>
/// <param name="Store">The folder of the VM's source, where the token's record is too.</param>
public sealed record GuestEnvironment(
    IVmInventory Inventory,
    IVmLifecycle Lifecycle,
    IFileStore Store,
    OwnershipToken Ownership,
    ISourceEvents Events,
    TimeProvider Time,
    IIdSource Ids,
    ILogger Logger);
