using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Bases;
using Understudy.Journal.Manifests;
using Understudy.Journal.Pins;
using Understudy.Journal.Records;
using Understudy.Journal.Views;

namespace Understudy.Journal;

/// <summary>
/// Moving the oldest point forward (docs/formats/apply-log.md). One apply at a time; appends, flushes and views go on
/// beside it. An apply that was interrupted is finished first, whatever is asked for next.
/// </summary>
public sealed partial class Replica
{
    /// <summary>
    /// Makes a listed point the oldest one: the base holds it when this returns. Before the first point is listed, a hidden
    /// checkpoint will do. Cancellation is honoured between batches; the apply then goes on with the next call.
    /// </summary>
    public async ValueTask<ApplyOutcome> ApplyAsync(RecoveryPointId newOldest, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(cancellationToken);
        return await ApplyLockedAsync(newOldest, cancellationToken);
    }

    /// <summary>Applies what is older than the window; see <see cref="RetentionPlan"/>. Finishes an interrupted apply in any case.</summary>
    public async ValueTask<ApplyOutcome> ApplyRetentionAsync(TimeSpan window, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(cancellationToken);
        ThrowIfDead();
        ApplyOutcome finished = new ApplyOutcome.NothingToDo();
        if (_manifest.Applying is { } unfinished)
        {
            finished = new ApplyOutcome.Applied(unfinished.To, await FinishApplyAsync(unfinished.To, cancellationToken));
        }

        if (_manifest.AwaitsSeed)
        {
            return finished;
        }

        return RetentionPlan.ChooseOldest(_listed, _env.Time.GetUtcNow(), window) is { } oldest
            && await ApplyLockedAsync(oldest.Id, cancellationToken) is var outcome and not ApplyOutcome.NothingToDo
            ? outcome
            : finished;
    }

    private async ValueTask<ApplyOutcome> ApplyLockedAsync(RecoveryPointId newOldest, CancellationToken cancellationToken)
    {
        ThrowIfDead();
        if (_manifest.BaseStage != BaseStage.Open)
        {
            return new ApplyOutcome.BaseIsFinal(_manifest.BaseStage);
        }

        if (_manifest.Applying is { } unfinished)
        {
            long blocks = await FinishApplyAsync(unfinished.To, cancellationToken);
            if (unfinished.To == newOldest)
            {
                return new ApplyOutcome.Applied(newOldest, blocks);
            }
        }

        if (_manifest.AwaitsSeed)
        {
            return new ApplyOutcome.AwaitsSeed();
        }

        if (await BeginApplyAsync(newOldest, cancellationToken) is { } reason)
        {
            return reason;
        }

        return new ApplyOutcome.Applied(newOldest, await FinishApplyAsync(newOldest, cancellationToken));
    }

    /// <summary>Step 1: from here on nothing older than the new oldest point is listed, whatever happens. An outcome when there is nothing to begin.</summary>
    private async ValueTask<ApplyOutcome?> BeginApplyAsync(RecoveryPointId to, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        PointState point = _points.Find(p => p.Point.Id == to && p.Sequence <= _log.FlushedSequence && (!p.Hidden || _listed.IsEmpty))
            ?? throw NotListed(to);
        if (point.Sequence < (_manifest.Oldest?.Sequence ?? 0))
        {
            throw NotListed(to);
        }

        if (point.Sequence <= _manifest.Applied.Sequence)
        {
            return new ApplyOutcome.NothingToDo();
        }

        if (IsDiverged(out RecoveryPointId parent) && point.Sequence > parent.Sequence)
        {
            return new ApplyOutcome.Diverged(parent);
        }

        if (Rules.NoteApplyBeforeWritingBase)
        {
            await ChangeAsync(_manifest with
            {
                Oldest = !point.Hidden && Rules.UnlistBeforeApplying ? to : _manifest.Oldest,
                Applying = new ApplyingState(to),
            });
        }

        return null;
    }

    /// <summary>Steps 2 to 6. Returns the number of base blocks that changed.</summary>
    private async ValueTask<long> FinishApplyAsync(RecoveryPointId to, CancellationToken cancellationToken)
    {
        long started = _env.Time.GetTimestamp();
        (PointState point, long blocks) = await WriteBaseAsync(to, onlyRedo: false, cancellationToken);
        await CompleteApplyAsync(point);
        Log.Applied(_env.Logger, Id, to, blocks, _env.Time.GetElapsedTime(started));
        return blocks;
    }

    /// <summary>Steps 2 to 5, or only what the log says was under way.</summary>
    private async ValueTask<(PointState Point, long Blocks)> WriteBaseAsync(
        RecoveryPointId to, bool onlyRedo, CancellationToken cancellationToken)
    {
        ulong from = _manifest.Applied.Sequence;
        (PointState point, List<Pin> olderPins) = await HoldOlderPinsAsync(to, cancellationToken);
        SortedDictionary<DiskId, BaseDisk> disks = [];
        RecordCodec codec = _codecs.Rent();
        try
        {
            IReadOnlyList<LoggedBlock> logged = await ApplyLog.ReadAsync(_env.Store, Id, from, to, cancellationToken);
            if (onlyRedo && logged.Count == 0)
            {
                return (point, 0);
            }

            if (logged.Count > 0)
            {
                // Found, but perhaps never flushed: the base is not touched on the word of a log that may yet be lost.
                await ApplyLog.WriteAsync(_env.Store, Id, from, to, logged);
            }

            await OpenBasesAsync(point.Geometry, disks, cancellationToken);
            Layer journal = new([.. _log.Segments.Where(s => s.LastSequence > from && s.FirstSequence <= point.Sequence)], from, point.Sequence);
            PreImageSaver saver = new(olderPins, codec, Rules, OpenPreImagesAsync);
            using ApplyRun run = new(_env, Id, from, point, journal, _records, disks, saver);
            try
            {
                await run.RedoAsync(logged, cancellationToken);
                if (!onlyRedo)
                {
                    await run.RunAsync(logged is [.., var last] ? (last.Disk, last.Block) : null, cancellationToken);
                }
            }
            catch (StorageException e)
            {
                _isDead |= run.HasSumsFault || saver.HasFault;
                Log.ApplyStopped(_env.Logger, Id, to, e.Message);
                throw;
            }

            return (point, run.BlocksWritten);
        }
        finally
        {
            foreach (BaseDisk disk in disks.Values)
            {
                await disk.CloseWriterAsync();
            }

            _codecs.Return(codec);
            await LetGoOfPinsAsync(olderPins);
        }
    }

    private async ValueTask<(PointState Point, List<Pin> OlderPins)> HoldOlderPinsAsync(
        RecoveryPointId to, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        PointState point = _points.Find(p => p.Point.Id == to) ?? throw new UnreachableException("the point that apply moves to is in the journal");
        List<Pin> olderPins = [.. _pins.Where(p => p.Span.Through < point.Sequence)];
        olderPins.ForEach(p => p.IsBeingSaved = true);
        return (point, olderPins);
    }

    private async ValueTask LetGoOfPinsAsync(List<Pin> pins)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        foreach (Pin pin in pins)
        {
            pin.IsBeingSaved = false;
            if (!_isDead)
            {
                await ReleaseIfUnusedAsync(pin);
            }
        }

        PublishStatus();
    }

    private async ValueTask OpenBasesAsync(GeometryBody geometry, SortedDictionary<DiskId, BaseDisk> disks, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        foreach (DiskGeometry disk in geometry.Disks)
        {
            // Only a disk that the base does not hold yet may begin with sums that say "all zeros": a lost sidecar of one
            // that it does hold is damage, and new sums would hide it.
            bool isNew = _baseGeometry?.Disks.All(held => held.Disk != disk.Disk) ?? true;
            BaseDisk opened = await GetBaseAsync(disk, create: isNew, cancellationToken);
            disks.Add(disk.Disk, opened);
            await opened.OpenForWritingAsync(cancellationToken);
        }
    }

    /// <summary>The base holds the point: says so durably, and then deletes what only older points needed.</summary>
    private async ValueTask CompleteApplyAsync(PointState point)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        byte[] records = await ReadPointRecordsAsync(point, CancellationToken.None);
        FileReference kept = await KeepAsync(point, records);
        FileReference? before = _manifest.Applied.Records;
        await ChangeAsync(_manifest with
        {
            Oldest = point.Hidden ? _manifest.Oldest : point.Point.Id,
            Applied = new AppliedState(point.Sequence, point.Point.Id, kept),
            Applying = null,
            AwaitsSeed = false, // An apply begins only with the seed whole.
            Segments = PlanRuns(point.Sequence, null),
        });

        _seedTaken.TrySetResult();
        _baseGeometry = point.Geometry;
        _points.RemoveAll(p => p.Sequence < point.Sequence);
        _points[0] = point with { Kept = records, Source = default };
        await DeleteUnneededAsync();
        await ForgetKeptAsync(before);
        Publish();
        await DeleteGoneDisksAsync(CancellationToken.None);
    }

    private async ValueTask<BaseDisk> GetBaseAsync(DiskGeometry geometry, bool create, CancellationToken cancellationToken)
    {
        if (!_bases.TryGetValue(geometry.Disk, out BaseDisk? disk))
        {
            disk = await BaseDisk.OpenAsync(_env, Id, geometry, create, cancellationToken);
            _bases.Add(geometry.Disk, disk);
        }
        else if (disk.Geometry.SizeBytes < geometry.SizeBytes)
        {
            disk.Geometry = geometry;
        }

        return disk;
    }
}
