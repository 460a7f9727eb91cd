using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Durable;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;

namespace Understudy.Protection.Source.Guest;

/// <param name="Waited">From the first request to the guest off, or to the end of the time.</param>
/// <param name="PoweredOff">It is off because it was ended, by this order or an earlier try of it, and did not shut down itself.</param>
public sealed record GuestStop(bool Off, TimeSpan Waited, bool PoweredOff = false);

/// <summary>
/// Makes the guest at a source do what the token says: it does not run while the VM is not owned here, and goes on when it
/// is again. Everything it does follows from two durable records, the token's and its own (<see cref="GuestRecord"/>), and
/// from what the hypervisor says, so it can die anywhere and begin anew. One gate: orders and the loop take turns.
/// </summary>
public sealed partial class GuestKeeper
{
    /// <summary>While a guest must be off, or is to come back, it is looked at this often: part of the ten seconds in which
    /// a deposed one must stand still.</summary>
    private static readonly TimeSpan WatchEvery = TimeSpan.FromSeconds(1);

    /// <summary>Otherwise only the token's changes count; this is against a beat that was missed.</summary>
    private static readonly TimeSpan RestEvery = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan StopPollEvery = TimeSpan.FromMilliseconds(100);

    /// <summary>A guest that did not listen is asked again: its power button may not have been watched yet.</summary>
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(10);

    /// <summary>Disks come and go at a person's pace, and what they are is asked of libvirt.</summary>
    private static readonly TimeSpan NoteDisksEvery = TimeSpan.FromMinutes(1);

    private readonly GuestEnvironment _environment;
    private readonly AsyncGate _gate = new();
    private volatile GuestRecord _record;
    private volatile string? _fault;
    private readonly long _began;
    private long? _disksNotedAt;
    private bool _autostartNoted;
    private bool _stoodStill; // Paused before it could be noted.
    private bool _isClosed; // Changed inside the gate.
    private long? _shutdownBegan;
    private long? _shutdownAskedAt;

    private GuestKeeper(GuestEnvironment environment, GuestRecord record)
    {
        _environment = environment;
        _record = record;
        _began = environment.Time.GetTimestamp();
    }

    /// <summary>Set from the moment a newer line is known until the VM is owned here again.</summary>
    public DeposedSource? Deposed => _record.Deposed;

    /// <summary>Set once the VM stays at the other side for good.</summary>
    public RetiredDisks? Retired => _record.Retired;

    /// <summary>What the VM had when it was last owned here; empty once that is deleted.</summary>
    public IReadOnlyList<NotedDisk> Disks => _record.Disks ?? [];

    /// <summary>The highest sequence ever given to a record of the replica, or <see cref="NotedDisk.Undecided"/>; the engine's to say.</summary>
    public Func<ulong> UsedSequence { private get; set; } = () => 0;

    /// <summary>Why the guest cannot be brought to where the token wants it; null while it can. It is tried again.</summary>
    public string? Fault => _fault;

    /// <summary>What is done to a guest that runs when a newer line is learnt of.</summary>
    public DeposedAction WhenDeposed { get; set; }

    /// <summary>Policy: how long nobody may leave it open, after a boot, whether the VM is still owned here; null for ever.</summary>
    public TimeSpan? StartsAfter { get; set; }

    private OwnershipToken Ownership => _environment.Ownership;

    private VmId Vm => Ownership.Record.Vm;

    public static async ValueTask<GuestKeeper> OpenAsync(GuestEnvironment environment, DeposedAction whenDeposed, CancellationToken cancellationToken)
    {
        GuestRecord? known = await GuestFile.Document.LoadAsync(environment.Store, GuestFile.Name, cancellationToken);
        return new GuestKeeper(environment, known ?? GuestRecord.Untouched) { WhenDeposed = whenDeposed };
    }

    public static async ValueTask<bool> IsRetiredAsync(IFileStore store, CancellationToken cancellationToken) =>
        await GuestFile.Document.LoadAsync(store, GuestFile.Name, cancellationToken) is { Retired: not null };

    /// <summary>Looks after the guest until it is cancelled; every fault is shown and tried again.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            long seen = Ownership.Changed.Beats;
            try
            {
                await TendAsync(cancellationToken);
                _fault = null;
            }
            catch (Exception fault) when (fault is UnderstudyException || UnnamedFaultException.IsOne(fault))
            {
                if (_fault != fault.Message)
                {
                    Log.GuestNotBrought(_environment.Logger, Ownership.Record.VmName, fault.Message);
                }

                _fault = fault.Message;
            }

            await Ownership.Changed.WaitPastAsync(seen, IsToBeWatched ? WatchEvery : RestEvery, _environment.Time, cancellationToken);
        }
    }

    /// <summary>
    /// From when this returns nothing can start the VM; a guest that runs is left alone. No error when the VM is not owned
    /// here: then it is closed already.
    /// </summary>
    public async ValueTask FenceAsync(string reason, CancellationToken cancellationToken)
    {
        _disksNotedAt = null; // The guard is to know the disks the VM has now: the loop looks as soon as the token changes.
        await Ownership.TakeAsync(new OwnershipMessage.Close(reason, _environment.Time.GetUtcNow()), cancellationToken);
    }

    /// <summary>Ends the fence of a VM that is owned here.</summary>
    /// <param name="start">It runs when this returns, unless it must be validated first after a boot: then it runs later.</param>
    public async ValueTask UnfenceAsync(bool start, CancellationToken cancellationToken)
    {
        if (Ownership.Record.State is OwnershipState.Here)
        {
            await WillGoOnAsync(start, cancellationToken);
        }

        await Ownership.TakeAsync(new OwnershipMessage.Reopen(), cancellationToken);
        await TendAsync(cancellationToken);
    }

    /// <summary>Shuts the fenced guest down, asking again every ten seconds, or ends it at once.</summary>
    /// <param name="timeout">Then it is said that the guest still runs: what next is a person's choice.</param>
    public async ValueTask<GuestStop> StopAsync(bool powerOff, TimeSpan timeout, CancellationToken cancellationToken)
    {
        long began = _environment.Time.GetTimestamp();
        long? asked = null;
        while (true)
        {
            RequireFence();
            VmRunState state = await _environment.Lifecycle.GetRunStateAsync(Vm, cancellationToken);
            TimeSpan waited = _environment.Time.GetElapsedTime(began);
            if (!IsOn(state))
            {
                return new GuestStop(true, waited, powerOff && await _environment.Inventory.FindVmAsync(Vm, cancellationToken) is { EndedByForce: true });
            }

            if (waited >= timeout)
            {
                return new GuestStop(false, waited);
            }

            if (asked is not { } last || _environment.Time.GetElapsedTime(last) >= AskAgainAfter)
            {
                asked = _environment.Time.GetTimestamp();
                await WillGoOnAsync(true, cancellationToken);
                await AskToStopAsync(powerOff, cancellationToken);
            }

            await Task.Delay(StopPollEvery, _environment.Time, cancellationToken);
        }
    }

    /// <summary>Durably: whether the guest runs as soon as it may run here (again).</summary>
    public async ValueTask WillGoOnAsync(bool goesOn, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        if (_record.GoesOn != goesOn)
        {
            await SaveAsync(_record with { GoesOn = goesOn }, cancellationToken);
        }
    }

    /// <summary>The VM stays at the other side for good; what is left here stays blocked, and is listed from now on.</summary>
    /// <param name="replicated">Target devices of the disks the other side has as well.</param>
    /// <exception cref="RefusedException">The VM is owned here.</exception>
    public async ValueTask RetireAsync(IReadOnlyList<string> replicated, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        if (Ownership.Record.State is OwnershipState.Offered)
        {
            throw new RefusedException(
                RefusalCode.InTransit,
                $"{Ownership.Record.VmName} was offered to the other side, and whether that has taken it is not known here.",
                "Let the hand-over end first: retry its job when that side is back.");
        }

        if (Ownership.Record.State is not OwnershipState.Elsewhere)
        {
            throw new RefusedException(
                RefusalCode.NotFailedOver, $"{Ownership.Record.VmName} is not owned by the other side: nothing of it here is old.", "Stop protecting it without keeping anything.");
        }

        await NoteLateDisksAsync(cancellationToken);
        if (_record.Retired is null)
        {
            BranchId branch = _record.Deposed?.Branch ?? new BranchId(_environment.Ids.NewGuid());
            await SaveAsync(_record with { Retired = new RetiredDisks(branch, _environment.Time.GetUtcNow(), replicated) }, cancellationToken);
        }
    }

    /// <summary>What the VM has here and was not noted is listed from now on as well, before the VM goes.</summary>
    public async ValueTask CompleteDisksAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        await NoteLateDisksAsync(cancellationToken);
    }

    /// <summary>The old disks are deleted.</summary>
    public async ValueTask ForgetDisksAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        await SaveAsync(_record with { Disks = [] }, cancellationToken);
    }

    /// <summary>Brings the guest to where the token wants it, as far as that goes now.</summary>
    public async ValueTask TendAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        try
        {
            await TendInsideAsync(cancellationToken);
        }
        catch (StorageException) when (Ownership.HeardOfNewer || Ownership.Record.State is OwnershipState.Elsewhere)
        {
            await StandStillAsync(cancellationToken);
            throw;
        }
    }

    private async ValueTask TendInsideAsync(CancellationToken cancellationToken)
    {
        await Ownership.MendAsync(cancellationToken);
        OwnershipRecord owned = Ownership.Record;
        switch (owned.State)
        {
            case OwnershipState.Here when Ownership.HeardOfNewer:
                await StandStillAsync(cancellationToken);
                break;
            case OwnershipState.Elsewhere { Deposed: { } deposition }:
                await KeepDeposedAsync(owned, deposition, cancellationToken);
                break;
            case OwnershipState.Elsewhere or OwnershipState.Offered:
                await KeepOffAsync(cancellationToken);
                break;
            case OwnershipState.Here:
                await BringBackAsync(cancellationToken);
                break;
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    /// <summary>The protection ends here: when this returns nothing is under way, and from then on orders are refused. What is
    /// left of its files is for whoever opens them next.</summary>
    public async ValueTask CloseAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _isClosed = true;
    }

    /// <summary>Nothing of it is left. To be called when <see cref="RunAsync"/> has ended.</summary>
    public static ValueTask DeleteAsync(IFileStore store, CancellationToken cancellationToken) =>
        DurableDocument<GuestRecord>.DeleteAsync(store, GuestFile.Name, cancellationToken);

    private bool IsToBeWatched => !Ownership.MayRun || Ownership.HeardOfNewer || _record.GoesOn || _fault is not null;

    /// <summary>What the guard watches is what the VM has now, or had when it was last owned here.</summary>
    private async ValueTask NoteDisksAsync(CancellationToken cancellationToken)
    {
        if (_disksNotedAt is { } last && _environment.Time.GetElapsedTime(last) < NoteDisksEvery)
        {
            return;
        }

        if (await _environment.Inventory.FindVmAsync(Vm, cancellationToken) is { } vm)
        {
            IReadOnlyList<NotedDisk> disks = NotedDisk.Of(vm, Disks, UsedSequence());
            if (!disks.SequenceEqual(Disks))
            {
                await SaveAsync(_record with { Disks = disks }, cancellationToken);
            }

            await Ownership.SetDisksAsync(vm.Name, NotedDisk.Guarded(disks), cancellationToken);
        }

        _disksNotedAt = _environment.Time.GetTimestamp();
    }

    /// <summary>For a VM that is not owned here any more: what it had and the last look, up to a minute before, could not see. What was
    /// noted stays noted, whatever has become of the definition since.</summary>
    private async ValueTask NoteLateDisksAsync(CancellationToken cancellationToken)
    {
        if (Ownership.Record.State is not OwnershipState.Elsewhere
            || await _environment.Inventory.FindVmAsync(Vm, cancellationToken) is not { } vm || NotedDisk.LateOf(vm, Disks) is not { Count: > 0 } late)
        {
            return;
        }

        IReadOnlyList<NotedDisk> disks = [.. Disks, .. late];
        await SaveAsync(_record with { Disks = disks }, cancellationToken);
        await Ownership.SetDisksAsync(vm.Name, NotedDisk.Guarded(disks), cancellationToken);
    }

    private async ValueTask AskToStopAsync(bool powerOff, CancellationToken cancellationToken)
    {
        try
        {
            await (powerOff
                ? _environment.Lifecycle.DestroyAsync(Vm, cancellationToken)
                : _environment.Lifecycle.RequestShutdownAsync(Vm, cancellationToken));
        }
        catch (HypervisorException gone) when (gone.Fault is HypervisorFault.NotRunning or HypervisorFault.NoSuchVm)
        {
            // Off in the meantime: the next look sees it.
        }
    }

    private void RequireFence()
    {
        if (Ownership.Record.State is OwnershipState.Here { Fence: null })
        {
            throw new RefusedException(
                RefusalCode.NotFenced, $"{Ownership.Record.VmName} is not fenced.", "Fence it before its guest is shut down: otherwise anything may start it again.");
        }
    }

    /// <summary>Whether there is a QEMU that may write again.</summary>
    private static bool IsOn(VmRunState state) => state is not (VmRunState.Off or VmRunState.Crashed or VmRunState.Absent);

    private async ValueTask<AsyncGate.Pass> EnterAsync(CancellationToken cancellationToken)
    {
        AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (_isClosed)
        {
            inside.Dispose();
            throw OwnershipToken.Closed(Ownership.Record);
        }

        return inside;
    }

    private async ValueTask SaveAsync(GuestRecord record, CancellationToken cancellationToken)
    {
        await GuestFile.Document.SaveAsync(_environment.Store, GuestFile.Name, record, cancellationToken);
        _record = record;
    }
}
