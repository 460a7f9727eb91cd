using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Target.Runs;
using Understudy.Replication.Wire;

namespace Understudy.Protection.Target;

/// <summary>That a VM came to stay here, for a source that has not heard of it.</summary>
/// <param name="Source">The only agent that is told.</param>
/// <param name="Line">The line that owns the VM.</param>
/// <param name="MintedAt">By this host's clock; null where nobody knows any more.</param>
/// <param name="KeptAt">When protection ended here.</param>
public sealed record DepartureNotice(ReplicaId Replica, VmId Vm, Guid Source, LineId Line, DateTimeOffset? MintedAt, DateTimeOffset KeptAt);

/// <summary>
/// What outlives a replica whose VM stayed here while its source was silent: the answer that source gets when it comes back
/// and calls. Without it the old copy would run beside the new one as long as nobody looks, because the vault may have let
/// the host go. A notice is a file of a few hundred bytes; it goes after <see cref="Kept"/>. One that cannot be read is left
/// where it is and said in the log: it must not keep the others from being told.
/// </summary>
public sealed class DepartureNotices(IFileStore store, TimeProvider time, ILogger logger)
{
    /// <summary>Long enough for a host that waits for spare parts; not for ever, because most never come back.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromDays(365);

    private const string Suffix = ".state";

    private readonly AsyncGate _gate = new();
    private Dictionary<ReplicaId, DepartureNotice>? _notices; // null until read; guarded by the gate

    /// <summary>Durable when this returns. Put before the replica goes.</summary>
    public async ValueTask PutAsync(DepartureNotice notice, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        Dictionary<ReplicaId, DepartureNotice> notices = await LoadAsync(cancellationToken);
        await RunFiles.DepartureDocument.SaveAsync(store, FileOf(notice.Replica), notice, cancellationToken);
        notices[notice.Replica] = notice;
    }

    /// <summary>Its source knows, or is not the one to be told any more. No error when there is none.</summary>
    public async ValueTask DropAsync(ReplicaId replica, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        await DropAsync(await LoadAsync(cancellationToken), replica, cancellationToken);
    }

    /// <summary>What a source is told that calls for a replica which has gone; null when there is nothing to tell it.</summary>
    public async ValueTask<CurrentLine?> FindAsync(ReplicaId replica, VmId vm, Guid source, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        return (await LoadAsync(cancellationToken)).TryGetValue(replica, out DepartureNotice? notice) && notice.Vm == vm && notice.Source == source
            ? new CurrentLine(notice.Line, notice.MintedAt)
            : null;
    }

    /// <summary>Those of a source that has not called yet, oldest first.</summary>
    public async ValueTask<IReadOnlyList<DepartureNotice>> ListAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        return [.. (await LoadAsync(cancellationToken)).Values.OrderBy(notice => notice.KeptAt)];
    }

    private async ValueTask<Dictionary<ReplicaId, DepartureNotice>> LoadAsync(CancellationToken cancellationToken)
    {
        if (_notices is not null)
        {
            return _notices;
        }

        Dictionary<ReplicaId, DepartureNotice> notices = [];
        await store.CreateFolderAsync("", cancellationToken);
        foreach (StoreEntry entry in await store.ListAsync("", cancellationToken))
        {
            if (entry.Name.EndsWith(Suffix, StringComparison.Ordinal) && await TryReadAsync(entry.Name, cancellationToken) is { } notice)
            {
                notices[notice.Replica] = notice;
            }
        }

        foreach (DepartureNotice old in notices.Values.Where(notice => notice.KeptAt + Kept < time.GetUtcNow()).ToArray())
        {
            await DropAsync(notices, old.Replica, cancellationToken);
        }

        return _notices = notices;
    }

    private async ValueTask<DepartureNotice?> TryReadAsync(string name, CancellationToken cancellationToken)
    {
        try
        {
            return await RunFiles.DepartureDocument.LoadAsync(store, name, cancellationToken);
        }
        catch (StorageException damaged)
        {
            Log.DepartureUnreadable(logger, name, damaged.Message);
            return null;
        }
    }

    private async ValueTask DropAsync(Dictionary<ReplicaId, DepartureNotice> notices, ReplicaId replica, CancellationToken cancellationToken)
    {
        if (notices.ContainsKey(replica))
        {
            await Durable.DurableDocument<DepartureNotice>.DeleteAsync(store, FileOf(replica), cancellationToken);
            notices.Remove(replica);
        }
    }

    private static string FileOf(ReplicaId replica) => $"{replica.Value:N}{Suffix}";
}
