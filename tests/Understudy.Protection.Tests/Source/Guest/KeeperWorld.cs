using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Source.Guest;
using Understudy.Protection.Tests.Ownership;
using Understudy.Protection.Tests.Target.World;
using Understudy.Testing;
using Understudy.Testing.Devices;

namespace Understudy.Protection.Tests.Source.Guest;

/// <summary>A source host with one guest, its token and guard, and keepers that die and are followed by others.</summary>
internal sealed class KeeperWorld : ISourceEvents
{
    public static readonly VmId Vm = new(Guid.Parse("11111111-2222-4333-8444-555555555555"));
    public static readonly LineId First = new(1, 1);
    public static readonly LineId Second = new(2, 1);
    public static readonly LineId Third = new(3, 1);
    public static readonly RecoveryPointId Point = new(First, 9);
    public static readonly TransferId Transfer = new(Guid.Parse("77777777-2222-4333-8444-555555555555"));

    private readonly MemoryFileStore _store = new();
    private readonly SeededIdSource _ids = new(1);

    public KeeperWorld(string boot = "boot-1", Func<KeeperWorld, ModelGuest>? guest = null)
    {
        Boot = boot;
        Guard = new MemoryGuard(boot);
        Guest = guest?.Invoke(this) ?? new ModelGuest(Vm, () => Guard.MayStart(Vm));
    }

    public string Boot { get; }

    public ManualTime Time { get; } = new();

    public MemoryGuard Guard { get; }

    public ModelGuest Guest { get; }

    public List<SourceEvent> Events { get; } = [];

    public OwnershipToken Token { get; private set; } = null!; // Set by NextAsync.

    public GuestKeeper Keeper { get; private set; } = null!; // Set by NextAsync.

    public DeposedAction WhenDeposed { get; set; }

    /// <summary>Of the host's data folder.</summary>
    public bool DiskIsFull
    {
        set => _store.CapacityBytes = value ? 0 : long.MaxValue;
    }

    public async Task<KeeperWorld> BeginAsync(OwnershipState? state = null)
    {
        OwnershipRecord record = OwnershipRules.Begin(
            Vm, "web1", new ReplicaId(Vm.Value), Guid.Empty, First, ["/pool/web1.qcow2"], state ?? new OwnershipState.Here(Boot), Time.GetUtcNow());
        await OwnershipToken.BeginAsync(Services(Guard), _store, record, default);
        await NextAsync(Life.Forever());
        return this;
    }

    /// <summary>The agent is gone; the next one finds what it left.</summary>
    public async Task NextAsync(Life life)
    {
        IFileStore store = Mortal<IFileStore>.Of(_store, life);
        Token = (await OwnershipToken.OpenAsync(Services(Mortal<IStartGuard>.Of(Guard, life)), store, default))!;
        Keeper = await GuestKeeper.OpenAsync(
            new GuestEnvironment(
                Mortal<IVmInventory>.Of(Guest, life), Mortal<IVmLifecycle>.Of(Guest, life), store, Token, this, Time, _ids, NullLogger.Instance),
            WhenDeposed,
            default);
    }

    public void Raise(SourceEvent happened) => Events.Add(happened);

    /// <summary>Waits for work that sleeps, moving the clock whenever it does.</summary>
    public async Task<T> PassTimeAsync<T>(Task<T> work)
    {
        while (!work.IsCompleted)
        {
            Time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        return await work;
    }

    private OwnershipServices Services(IStartGuard guard) => new(guard, Boot, Time, NullLogger.Instance);
}
