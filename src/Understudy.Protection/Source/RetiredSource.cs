using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Source.Guest;

namespace Understudy.Protection.Source;

/// <summary>
/// What is left of a source whose VM stays at the other side for good: the old VM and its disks, blocked by the start guard
/// and listed, until they are deleted by name. Nothing is replicated.
/// </summary>
public sealed class RetiredSource
{
    private readonly SourceHostEnvironment _environment;
    private readonly OwnershipToken _ownership;
    private readonly GuestKeeper _guest;

    private RetiredSource(SourceHostEnvironment environment, OwnershipToken ownership, GuestKeeper guest)
    {
        _environment = environment;
        _ownership = ownership;
        _guest = guest;
    }

    public OwnershipRecord Ownership => _ownership.Record;

    public KeptDisks Kept => KeptDisks.Of(
        Retired.Branch, _guest.Deposed?.Lost ?? _ownership.Record.Line, Retired.At, _guest.Disks, Retired.Replicated, isRetired: true);

    /// <summary>Null when nothing is kept in this store.</summary>
    public static async ValueTask<RetiredSource?> OpenAsync(SourceHostEnvironment environment, CancellationToken cancellationToken)
    {
        if (!await GuestKeeper.IsRetiredAsync(environment.Store, cancellationToken))
        {
            return null;
        }

        if (await OwnershipToken.OpenAsync(environment.Ownership, environment.Store, cancellationToken) is not { } token)
        {
            await GuestKeeper.DeleteAsync(environment.Store, cancellationToken); // Its deletion had all but ended.
            return null;
        }

        GuestKeeper guest = await GuestKeeper.OpenAsync(environment.OfGuest(token), DeposedAction.Pause, cancellationToken);
        return new RetiredSource(environment, token, guest);
    }

    /// <summary>Keeps the old copy from running, until it is cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => _guest.RunAsync(cancellationToken);

    /// <summary>Deletes the old disks and the old VM; then nothing is left here. To be called when <see cref="RunAsync"/> has ended.</summary>
    /// <returns>What stays, in words.</returns>
    public async ValueTask<IReadOnlyList<string>> DeleteAsync(BranchId branch, CancellationToken cancellationToken)
    {
        if (Kept.Branch != branch)
        {
            throw KeptDisks.Unknown(_ownership.Record.VmName, branch);
        }

        await _guest.CompleteDisksAsync(cancellationToken);
        IReadOnlyList<string> left = await Kept.DeleteAsync(_environment.Machine, _ownership, _guest, cancellationToken);
        await ForgetAsync(_environment.Store, _ownership, cancellationToken);
        return left;
    }

    /// <summary>Nothing is kept any more: the records go. The guest's is the last, and says that this goes on.</summary>
    internal static async ValueTask ForgetAsync(IFileStore store, OwnershipToken ownership, CancellationToken cancellationToken)
    {
        await ownership.EndAsync(cancellationToken);
        await GuestKeeper.DeleteAsync(store, cancellationToken);
    }

    private RetiredDisks Retired => _guest.Retired!; // Opened only when it is set, and never unset.
}
