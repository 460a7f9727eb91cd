using System.Runtime.ExceptionServices;
using System.Globalization;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Protection.Durable;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Target.Branches;

/// <summary>
/// The branches of one replica (FO-3, SEC-7). A branch is never written: whoever wants to write stands on it with an
/// overlay of his own, and while somebody does, it cannot be deleted. Its pin keeps the point under it, whatever becomes of
/// the point list. Changed under one gate, which is the innermost: runs call in here while they hold theirs.
/// </summary>
internal sealed class BranchKeeper(ReplicaContext context)
{
    /// <summary>Kept ones of one VM. Each is an unbounded overlay: somebody has to look before there are more.</summary>
    public const int MostBranches = 64;

    /// <summary>How long this agent must see a branch as due, at a stretch, before it is deleted. A clock that was set wrong is
    /// mended within that time, and what would have gone may be the only copy.</summary>
    public static readonly TimeSpan DueBeforeDeletion = TimeSpan.FromDays(1);

    private readonly AsyncGate _gate = new();
    private readonly SortedDictionary<Guid, BranchRecord> _branches = [];
    private readonly Dictionary<BranchId, long> _dueSince = []; // timestamps, which no clock that is set moves
    private readonly List<(Guid Branch, BranchUse Use)> _uses = [];

    /// <summary>A snapshot, oldest first.</summary>
    public IReadOnlyList<BranchStatus> Current { get; private set; } = [];

    /// <summary>After a restart, once the replica is open, before the runs recover. What was being deleted goes on.</summary>
    public async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        foreach (BranchRecord branch in await RunFiles.BranchDocument.LoadAllAsync(context.State, RunFiles.BranchFolder, cancellationToken))
        {
            _branches[branch.Id.Value] = branch;
        }

        foreach (BranchRecord branch in _branches.Values.Where(branch => branch.Step == BranchStep.Deleting).ToArray())
        {
            try
            {
                await RemoveAsync(branch, cancellationToken);
            }
            catch (Exception fault) when (fault is not InvariantException && !cancellationToken.IsCancellationRequested)
            {
                // Its replica waits for no branch; the housekeeping goes on.
                Log.TriedAgain(context.Logger, context.Vm, $"deleting branch {branch.Name}", fault.Message);
            }
        }

        Publish();
    }

    /// <summary>Keeps what a run has written; the run writes no more. Asked again, it changes nothing.</summary>
    public async ValueTask<BranchRecord> KeepAsync(BranchRecord branch, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (_branches.TryGetValue(branch.Id.Value, out BranchRecord? kept))
        {
            return kept;
        }

        // The pin first: with the record the run lets go of its point, and nothing else would keep it.
        await context.Pins.AddAsync(branch.Id.Value, branch.Point, "branch", cancellationToken);
        BranchRecord measured = branch with { Bytes = await MeasureAsync(branch, cancellationToken) };
        await SaveAsync(measured, cancellationToken);
        Log.BranchKept(context.Logger, context.Vm, branch.Id.Value, branch.Kind, branch.Point.ToString(), branch.ExpiresAt);
        return measured;
    }

    /// <exception cref="RefusedException">There is no such branch.</exception>
    public BranchRecord Find(BranchId id) =>
        Current.FirstOrDefault(status => status.Branch.Id == id && status.Branch.Step == BranchStep.Kept)?.Branch
        ?? throw new RefusedException(RefusalCode.NoSuchBranch, $"There is no branch {id}; it may have expired.", "See understudy point list.");

    /// <summary>A branch in words, with how it goes; null when this is none.</summary>
    public string? Describe(Guid run) => Current.FirstOrDefault(status => status.Branch.Id.Value == run)?.Branch is { } branch
        ? string.Create(
            CultureInfo.InvariantCulture,
            $"branch {branch.Name} ({Words(branch.Kind)}, {ByteWords.Of(branch.Bytes)}, until {branch.ExpiresAt:yyyy-MM-dd HH:mm}; it goes on when that is deleted)")
        : null;

    /// <summary>Room for one more, before something irrevocable needs it.</summary>
    public void RequireRoom()
    {
        if (Current.Count >= MostBranches)
        {
            throw new RefusedException(
                RefusalCode.Busy, $"{context.Vm} has {Current.Count} branches already.", "Delete one of them by name first (understudy point list shows them).");
        }
    }

    /// <summary>From now on somebody stands on the branch, until <see cref="LeaveAsync"/>. Twice is once.</summary>
    /// <param name="serve">The branch's daemon is started; a user that was found after a restart has it already, or its
    /// watcher starts it once views are served.</param>
    public async ValueTask<BranchRecord> UseAsync(BranchId id, BranchUse use, bool serve, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        BranchRecord branch = Find(id);
        _uses.RemoveAll(other => other.Use.Run == use.Run);
        _uses.Add((id.Value, use));
        Publish();
        context.Views.Hold(id.Value, branch.Point, $"branch {branch.Name} is used by {use.What}");
        if (serve)
        {
            await context.RunDisks.EnsureDaemonAsync(id.Value, branch.Point, branch.Disks, cancellationToken);
        }

        return branch;
    }

    /// <summary>No error when it did not stand on it.</summary>
    public async ValueTask LeaveAsync(BranchId id, Guid run, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        _uses.RemoveAll(use => use.Branch == id.Value && use.Use.Run == run);
        if (_uses.TrueForAll(use => use.Branch != id.Value))
        {
            await context.RunDisks.StopDaemonAsync(id.Value, cancellationToken);
            context.Views.Release(id.Value);
        }

        Publish();
    }

    /// <summary>Deletes it with its overlays. One that is gone already is fine.</summary>
    public async ValueTask<RemovedThings> DeleteAsync(BranchId id, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass inside = await _gate.EnterAsync(cancellationToken);
        if (!_branches.TryGetValue(id.Value, out BranchRecord? branch))
        {
            return RemovedThings.Nothing;
        }

        if (_uses.Where(use => use.Branch == id.Value).Select(use => use.Use.What).ToArray() is [_, ..] users)
        {
            throw new RefusedException(
                RefusalCode.Busy, $"Branch {id} of {context.Vm} is used by {string.Join(", ", users)}.", "End the test or the mount first.");
        }

        await SaveAsync(branch with { Step = BranchStep.Deleting }, cancellationToken);
        await RemoveAsync(branch, cancellationToken);
        Publish();
        return new RemovedThings([$"branch {branch.Name} of {context.Vm}", .. branch.Disks.Select(disk => $"overlay {disk.Overlay}")], []);
    }

    /// <summary>For the housekeeping: goes on with deletions that were cut short, and deletes what has been kept for as long as was promised, and a day, and is not in use.</summary>
    public async ValueTask ExpireAsync(CancellationToken cancellationToken)
    {
        ExceptionDispatchInfo? first = null;
        foreach (BranchStatus status in Current)
        {
            try
            {
                await ExpireAsync(status, cancellationToken);
            }
            catch (UnderstudyException stays)
            {
                first ??= ExceptionDispatchInfo.Capture(stays); // One that does not go keeps no other from going.
            }
        }

        first?.Throw();
    }

    private async ValueTask ExpireAsync(BranchStatus status, CancellationToken cancellationToken)
    {
        TimeProvider time = context.Services.Time;
        if (status.Branch.Step == BranchStep.Deleting)
        {
            await DeleteAsync(status.Branch.Id, cancellationToken); // What a failure or a death has left of a deletion.
            return;
        }

        if (status.Branch.ExpiresAt > time.GetUtcNow())
        {
            _dueSince.Remove(status.Branch.Id);
            return;
        }

        if (_dueSince.TryAdd(status.Branch.Id, time.GetTimestamp()))
        {
            Log.BranchDue(context.Logger, context.Vm, status.Branch.Id.Value, DueBeforeDeletion.TotalHours);
        }

        if (status.UsedBy.Count == 0 && time.GetElapsedTime(_dueSince[status.Branch.Id]) >= DueBeforeDeletion)
        {
            await DeleteAsync(status.Branch.Id, cancellationToken);
            _dueSince.Remove(status.Branch.Id);
            Log.BranchExpired(context.Logger, context.Vm, status.Branch.Id.Value, status.Branch.KeptAt);
        }
    }

    private async ValueTask RemoveAsync(BranchRecord branch, CancellationToken cancellationToken)
    {
        await context.RunDisks.StopDaemonAsync(branch.Id.Value, cancellationToken);
        context.Views.Release(branch.Id.Value);
        await context.RunDisks.DeleteOverlaysAsync(branch.Disks, cancellationToken);
        await context.Pins.RemoveAsync(branch.Id.Value, cancellationToken);
        await DurableDocument<BranchRecord>.DeleteAsync(context.State, RunFiles.Branch(branch.Id), cancellationToken);
        _branches.Remove(branch.Id.Value);
    }

    private async ValueTask<long> MeasureAsync(BranchRecord branch, CancellationToken cancellationToken)
    {
        long bytes = 0;
        foreach (RunDisk disk in branch.Disks)
        {
            bytes += (await context.Services.Images.FindAsync(disk.Overlay, cancellationToken))?.AllocatedBytes ?? 0;
        }

        return bytes;
    }

    private async ValueTask SaveAsync(BranchRecord branch, CancellationToken cancellationToken)
    {
        await RunFiles.BranchDocument.SaveAsync(context.State, RunFiles.Branch(branch.Id), branch, cancellationToken);
        _branches[branch.Id.Value] = branch;
        Publish();
    }

    private static string Words(BranchKind kind) => kind switch
    {
        BranchKind.CancelledFailover => "cancelled failover",
        BranchKind.ChangedPoint => "changed point",
        BranchKind.PromotedTest => "promoted test",
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private void Publish() => Current =
    [
        .. _branches.Values.OrderBy(branch => branch.KeptAt).Select(branch => new BranchStatus(
            branch, [.. _uses.Where(use => use.Branch == branch.Id.Value).Select(use => use.Use.What)])),
    ];
}
