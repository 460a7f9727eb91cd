using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Durable;
using Understudy.Protection.Ports;
using Understudy.Replication;

namespace Understudy.Protection.Ownership;

/// <summary>What every token of a host uses.</summary>
/// <param name="Boot">This host's present boot: one id from start to restart.</param>
public sealed record OwnershipServices(IStartGuard Guard, string Boot, TimeProvider Time, ILogger Logger);

/// <summary>
/// One side's part of a VM's token, durable in a folder, with the start guard that enforces it. The guard closes before
/// the record says so and opens after it: a crash between the two leaves a VM that cannot be started, never one that can
/// be and must not. <see cref="OpenAsync"/> puts such a guard right. May be called from anywhere; one message at a time.
/// </summary>
public sealed class OwnershipToken
{
    private readonly OwnershipServices _services;
    private readonly IFileStore _store;
    private readonly AsyncGate _gate = new();
    private volatile OwnershipRecord _record;

    /// <summary>A write failed: guard and file may say another thing than the record. Inside the gate.</summary>
    private bool _isTorn;

    private bool _isClosed; // Changed inside the gate.
    private volatile Heard? _heard; // until the record is of that line, or of a newer one

    private OwnershipToken(OwnershipServices services, IFileStore store, OwnershipRecord record)
    {
        _services = services;
        _store = store;
        _record = record;
    }

    public OwnershipRecord Record => _record;

    /// <summary>Whether the VM may be started here now.</summary>
    public bool MayRun => _record.MayRun(_services.Boot);

    /// <summary>A newer line owns the VM elsewhere, and that could not be made durable here: the record does not say it yet.</summary>
    public bool HeardOfNewer => _heard is { } heard && heard.Line.IsNewerThan(_record.Line);

    /// <summary>This host's present boot.</summary>
    public string Boot => _services.Boot;

    /// <summary>Beats when <see cref="Record"/> has been replaced.</summary>
    public Pulse Changed { get; } = new();

    /// <summary>The beginning of a protection; goes on with the record that is there already.</summary>
    public static async ValueTask<OwnershipToken> BeginAsync(
        OwnershipServices services, IFileStore store, OwnershipRecord record, CancellationToken cancellationToken)
    {
        if (await OpenAsync(services, store, cancellationToken) is { } begun)
        {
            return begun;
        }

        OwnershipToken token = new(services, store, record);
        await token.SaveAsync(record, opens: record.MayRun(services.Boot), cancellationToken);
        return token;
    }

    /// <summary>Null when this folder holds none.</summary>
    public static async ValueTask<OwnershipToken?> OpenAsync(OwnershipServices services, IFileStore store, CancellationToken cancellationToken)
    {
        if (await OwnershipFile.Document.LoadAsync(store, OwnershipFile.Name, cancellationToken) is not { } record)
        {
            return null;
        }

        await store.FlushFolderAsync("", cancellationToken); // Nothing is done on the word of a name that a power cut could take back.
        await services.Guard.PublishAsync(record, cancellationToken);
        return new OwnershipToken(services, store, record);
    }

    /// <summary>The record after the message; durable, and enforced by the guard, when this returns. When it throws anything
    /// but a refusal, the old or the new one stands, and the same message may be given again.</summary>
    /// <exception cref="RefusedException">Nothing was changed.</exception>
    public async ValueTask<OwnershipRecord> TakeAsync(OwnershipMessage message, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        switch (OwnershipRules.Apply(_record, message, _services.Boot))
        {
            case OwnershipOutcome.Unchanged:
                await MendInsideAsync(cancellationToken);
                break;
            case OwnershipOutcome.Refused refused:
                throw new RefusedException(refused.Code, refused.What, refused.Remedy);
            case OwnershipOutcome.Changed changed:
                OwnershipRecord next = changed.Next.State == _record.State && changed.Next.Line == _record.Line
                    ? changed.Next
                    : changed.Next with { Since = _services.Time.GetUtcNow() };
                await SaveNewsAsync(message, next, cancellationToken);
                break;
            default:
                throw new System.Diagnostics.UnreachableException();
        }

        return _record;
    }

    private async ValueTask SaveNewsAsync(OwnershipMessage message, OwnershipRecord next, CancellationToken cancellationToken)
    {
        try
        {
            await SaveAsync(next, opens: next.MayRun(_services.Boot) && !MayRun, cancellationToken);
        }
        catch (StorageException) when (message is OwnershipMessage.Learn && next.State is OwnershipState.Elsewhere)
        {
            _heard = new Heard(next.Line);
            Changed.Beat(); // Who looks after the guest stops it all the same.
            throw;
        }
    }

    /// <summary>The VM's disks on this host have changed: the guard watches those from now on.</summary>
    public async ValueTask SetDisksAsync(string vmName, IReadOnlyList<string> disks, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        if (_record.VmName != vmName || !_record.Disks.SequenceEqual(disks))
        {
            await SaveAsync(_record with { VmName = vmName, Disks = disks }, opens: false, cancellationToken);
        }
    }

    /// <summary>Puts guard and file right after a write that failed; for whoever looks after the VM and gives no order.</summary>
    public async ValueTask MendAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        await MendInsideAsync(cancellationToken);
    }

    /// <summary>Writes the guard's part again: what it is told beside the record has changed.</summary>
    public async ValueTask PublishAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await EnterAsync(cancellationToken);
        await _services.Guard.PublishAsync(_record, cancellationToken);
    }

    /// <summary>When this returns no message is under way, and from then on all are refused; record and guard stay as they are.</summary>
    public async ValueTask CloseAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _isClosed = true;
    }

    /// <summary>The protection has ended: nothing is guarded any more and nothing is left.</summary>
    public async ValueTask EndAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _isClosed = true;
        await _services.Guard.RemoveAsync(_record.Vm, cancellationToken);
        await DurableDocument<OwnershipRecord>.DeleteAsync(_store, OwnershipFile.Name, cancellationToken);
    }

    internal static RefusedException Closed(OwnershipRecord record) => new(
        RefusalCode.NotProtected, $"The protection of {record.VmName} on this host is just ending, or given to another target.", "Nothing was changed. Say it again in a moment; `understudy vm list` shows what is left of it.");

    private async ValueTask<AsyncGate.Pass> EnterAsync(CancellationToken cancellationToken)
    {
        AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (_isClosed)
        {
            inside.Dispose();
            throw Closed(_record);
        }

        return inside;
    }

    /// <summary>Closed while the file may say anything.</summary>
    private async ValueTask MendInsideAsync(CancellationToken cancellationToken)
    {
        if (_isTorn)
        {
            await SaveAsync(_record, opens: MayRun, cancellationToken);
        }
    }

    private async ValueTask SaveAsync(OwnershipRecord record, bool opens, CancellationToken cancellationToken)
    {
        _isTorn = true;
        if (!opens)
        {
            await _services.Guard.PublishAsync(record, cancellationToken);
        }

        await OwnershipFile.Document.SaveAsync(_store, OwnershipFile.Name, record, cancellationToken);
        _record = record;
        if (opens)
        {
            await _services.Guard.PublishAsync(record, cancellationToken);
        }

        _isTorn = false;
        Log.OwnershipChanged(_services.Logger, record.VmName, record.Line, record.State);
        Changed.Beat();
    }

    private sealed record Heard(LineId Line);
}
