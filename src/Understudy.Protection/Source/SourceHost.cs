using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Source;

/// <summary>
/// One protected VM at its source: the token that says whether it may run here, the keeper that makes its guest do so, and
/// the engine that replicates it. Each has a durable record of its own; an order that concerns several goes by way of the
/// token, so that a crash between two of them is found and finished by whichever comes second.
/// </summary>
public sealed partial class SourceHost : IDisposable
{
    private readonly SourceHostEnvironment _environment;
    private readonly AsyncGate _sides = new(); // whether the VM comes home, or its protection ends
    private volatile SourcePolicy _policy;

    private SourceHost(SourceHostEnvironment environment, SourcePolicy policy, OwnershipToken ownership, GuestKeeper guest, SourceVm engine)
    {
        _environment = environment;
        _policy = policy;
        Ownership = ownership;
        Guest = guest;
        Engine = engine;
        guest.UsedSequence = () => engine.UsedSequence;
        engine.BeforeHome = guest.NoteStandingStillAsync;
    }

    public SourceSpec Spec => Engine.Spec;

    public OwnershipToken Ownership { get; }

    public GuestKeeper Guest { get; }

    public SourceVm Engine { get; }

    /// <summary>Protects a VM that is not protected yet in this store, or goes on with it; durable when it returns.</summary>
    public static async ValueTask<SourceHost> CreateAsync(
        SourceHostEnvironment environment, SourceSpec spec, IReadOnlyList<DiskNow> disks, SourcePolicy policy, CancellationToken cancellationToken)
    {
        policy.Validate();
        if (await OpenAsync(environment, policy, cancellationToken) is { } known)
        {
            return known;
        }

        // The engine's state first: what has it has begun, and what has only the token has ended.
        await SourceVm.PrepareAsync(environment.Store, spec, disks, cancellationToken);
        return await OpenAsync(environment, policy, cancellationToken)
            ?? throw new InvariantException("a source that was just made is not there");
    }

    /// <summary>Goes on with a VM that is protected in this store; null when none is (any more).</summary>
    public static async ValueTask<SourceHost?> OpenAsync(
        SourceHostEnvironment environment, SourcePolicy policy, CancellationToken cancellationToken)
    {
        policy.Validate();
        if (await SourceVm.FindSpecAsync(environment.Store, cancellationToken) is not { } spec)
        {
            await FinishEndAsync(environment, cancellationToken);
            return null;
        }

        OwnershipRecord begin = OwnershipRules.Begin(
            spec.Vm, spec.VmName, spec.Replica, environment.Peer, spec.Line, [], new OwnershipState.Here(environment.Ownership.Boot), environment.Ownership.Time.GetUtcNow());
        OwnershipToken token = await OwnershipToken.BeginAsync(environment.Ownership, environment.Store, begin, cancellationToken);
        GuestKeeper guest = await GuestKeeper.OpenAsync(environment.OfGuest(token), policy.WhenDeposed, cancellationToken);
        guest.StartsAfter = policy.StartsAfter;
        SourceVm engine = await SourceVm.OpenAsync(environment.OfEngine(token), policy, cancellationToken)
            ?? throw new InvariantException("the state that was just read is gone");
        SourceHost host = new(environment, policy, token, guest, engine);
        if (guest.Retired is null)
        {
            return host;
        }

        using (host)
        {
            await engine.UnprotectAsync(cancellationToken); // Retiring had begun.
            return null;
        }
    }

    /// <summary>Takes effect from the next cut, or the next look at the guest, on.</summary>
    public void ApplyPolicy(SourcePolicy policy)
    {
        Engine.ApplyPolicy(policy);
        Guest.WhenDeposed = policy.WhenDeposed;
        Guest.StartsAfter = policy.StartsAfter;
        _policy = policy;
    }

    /// <summary>Replicates and looks after the guest until it is cancelled. A broken invariant ends the loop that met it and
    /// not the other: a guest that must stand still is kept so also when nothing can be replicated any more.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => Task.WhenAll(
        SayEndAsync("replication", Engine.RunAsync(cancellationToken)), SayEndAsync("looking after the guest", Guest.RunAsync(cancellationToken)));

    /// <summary>
    /// Ends the protection here and removes everything of ours; the VM itself stays. To be called when
    /// <see cref="RunAsync"/> has ended. When it throws, calling it again goes on.
    /// </summary>
    /// <param name="line">The newest that is known where the protection was ended; null when it is not known.</param>
    /// <exception cref="RefusedException">The VM is owned by the other side, or may be: without its fence it would run twice.</exception>
    public async ValueTask UnprotectAsync(LineId? line, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _sides.EnterAsync(cancellationToken);
        OwnershipRecord record = Ownership.Record;
        if (record.State is not OwnershipState.Here && !(line is { } known && known.IsNewerThan(record.Line)))
        {
            throw record.State is OwnershipState.Offered
                ? new RefusedException(
                    RefusalCode.InTransit,
                    $"{record.VmName} was offered to the other side, which may have taken it: without its fence it could be started here as well.",
                    "Let the hand-over end first: retry its job when that side is back.")
                : new RefusedException(
                    RefusalCode.NotOwner,
                    $"{record.VmName} is owned by the other side, by line {record.Line}: without its fence it could be started here as well.",
                    "Commit or cancel its failover first; or end the protection with the old VM left here, blocked: `understudy vm unprotect --keep-at-target`.");
        }

        await Engine.UnprotectAsync(cancellationToken);
        await CloseAsync(cancellationToken);
        await FinishEndAsync(_environment, cancellationToken);
    }

    /// <summary>
    /// Ends the protection of a VM that stays at the other side for good: what is ours goes, the old VM and its disks stay
    /// blocked (<see cref="RetiredSource"/>) unless they were deleted before. As <see cref="UnprotectAsync"/> otherwise.
    /// </summary>
    /// <param name="owner">What owns it there; a source that was away until now hears of it here, and its guest is stopped first.</param>
    /// <exception cref="RefusedException">The VM is owned here.</exception>
    public async ValueTask RetireAsync(NewerLine? owner, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _sides.EnterAsync(cancellationToken);
        if (owner is { } news && news.Line.IsNewerThan(Ownership.Record.Line))
        {
            await DeposeAsync(news.Line, news.MintedAt, action: null, cancellationToken);
        }

        await Guest.RetireAsync(Engine.Replicated(Guest.Disks), cancellationToken);
        await Engine.UnprotectAsync(cancellationToken);
        await CloseAsync(cancellationToken);
        if (Guest.Disks.Count == 0 && await _environment.Machine.Inventory.FindVmAsync(Spec.Vm, cancellationToken) is null)
        {
            await RetiredSource.ForgetAsync(_environment.Store, Ownership, cancellationToken);
        }
    }

    /// <summary>The old disks that are listed here; null while they are the VM's own, and once they are deleted.</summary>
    public KeptDisks? Kept => Guest.Deposed is { } deposed && Guest.Disks.Count > 0
        ? KeptDisks.Of(deposed.Branch, deposed.Lost, deposed.LearntAt, Guest.Disks, Engine.Replicated(Guest.Disks), isRetired: false)
        : null;

    /// <summary>Deletes the old disks that are listed under this name, and the old VM with them; the VM stays at the other side.</summary>
    /// <returns>What stays, in words.</returns>
    public async ValueTask<IReadOnlyList<string>> DeleteKeptAsync(BranchId branch, CancellationToken cancellationToken)
    {
        if (Kept?.Branch != branch)
        {
            throw KeptDisks.Unknown(Spec.VmName, branch);
        }

        if (Guest.Deposed?.Action == DeposedAction.CutNics && await _environment.Machine.Lifecycle.GetRunStateAsync(Spec.Vm, cancellationToken) == VmRunState.Running)
        {
            throw new RefusedException(RefusalCode.Busy, $"{Spec.VmName} still runs here, cut off from the network, for whoever has to look into it.", "Shut it down here first.");
        }

        await Guest.CompleteDisksAsync(cancellationToken);
        return await Kept.DeleteAsync(_environment.Machine, Ownership, Guest, cancellationToken);
    }

    public void Dispose() => Engine.Dispose();

    /// <summary>Orders that had found this object before write nothing from now on: what is in the store is deleted, or somebody else's.</summary>
    public async ValueTask CloseAsync(CancellationToken cancellationToken)
    {
        await Guest.CloseAsync(cancellationToken);
        await Ownership.CloseAsync(cancellationToken);
    }

    private async Task SayEndAsync(string what, Task running)
    {
        try
        {
            await running;
        }
        catch (Exception broken) when (broken is not OperationCanceledException)
        {
            Source.Guest.Log.LoopEnded(_environment.Logger, Spec.VmName, what, broken);
            throw;
        }
    }

    private static async ValueTask FinishEndAsync(SourceHostEnvironment environment, CancellationToken cancellationToken)
    {
        await SourceVm.DeleteUnfinishedAsync(environment.Store, cancellationToken);
        if (await GuestKeeper.IsRetiredAsync(environment.Store, cancellationToken))
        {
            return; // Blocked and listed until it is deleted by name.
        }

        if (await OwnershipToken.OpenAsync(environment.Ownership, environment.Store, cancellationToken) is { } token)
        {
            await GuestKeeper.DeleteAsync(environment.Store, cancellationToken);
            await token.EndAsync(cancellationToken);
        }
    }
}
