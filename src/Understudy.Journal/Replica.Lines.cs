using System.Globalization;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Manifests;
using Understudy.Journal.Pins;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>Changes of ownership, and dropping what the new owner does not have.</summary>
public sealed partial class Replica
{
    private const string DivergenceFolder = "divergence";

    /// <summary>
    /// Makes another line the current one: from the moment this returns, durably, nothing of the old line is accepted. It
    /// begins after <paramref name="parent"/>, a listed point. Records after the newest point that are no point yet are
    /// dropped, noted as divergence, when that is the parent. Newer points stay listed: until they are dropped
    /// (<see cref="DropAfterAsync"/>) the new line cannot be appended to.
    /// </summary>
    public async ValueTask MintLineAsync(LineId newLine, RecoveryPointId parent, string mintedBy, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(newLine, LineId.None);
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        if (_manifest.Line == newLine)
        {
            return; // Asked again after an answer was lost.
        }

        PointState point = FindListed(parent);
        if (!newLine.IsNewerThan(_manifest.Line))
        {
            throw new ArgumentException($"line {newLine} is not newer than {_manifest.Line}", nameof(newLine));
        }

        await SealAsync(cancellationToken);
        LineHistory history = new(newLine, parent, mintedBy, _env.Time.GetUtcNow());
        Manifest next = _manifest with { Line = newLine, Lines = [.. _manifest.Lines, history] };
        bool parentIsNewest = _listed is [.., var newest] && newest.Id == parent;
        if (parentIsNewest && _log.ReceivedSequence > point.Sequence)
        {
            await DropLockedAsync(point, next, [], cancellationToken);
        }
        else
        {
            await ChangeAsync(next);
        }

        Log.LineMinted(_env.Logger, Id, newLine, mintedBy, parent);
        Interlocked.Exchange(ref _lineEnds, new CancellationTokenSource()).Cancel();
    }

    /// <summary>Everything that records dropped after this point had touched, by disk; for the way home.</summary>
    public async ValueTask<IReadOnlyDictionary<DiskId, ExtentSet>> ReadDivergenceAsync(RecoveryPointId parent, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        SortedDictionary<DiskId, ExtentSet> extents = [];
        foreach (DivergenceEntry entry in _manifest.Divergence.Where(d => d.Parent == parent))
        {
            DivergenceFile.Decode(entry.Extents.Name, await SmallFile.ReadAsync(_env.Store, entry.Extents, cancellationToken), extents);
        }

        return extents;
    }

    private async ValueTask SealAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _log.SealAsync(cancellationToken);
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            _isDead = true;
            throw;
        }
    }

    /// <summary>The caller holds the gate and has sealed the log. <paramref name="next"/> carries what else changes with it,
    /// <paramref name="cut"/> the pins that showed a record that goes and do so no longer.</summary>
    private async ValueTask DropLockedAsync(PointState point, Manifest next, IReadOnlyList<Pin> cut, CancellationToken cancellationToken)
    {
        Invariant.Check(_pins.TrueForAll(p => p.Span.Through <= point.Sequence), "a pin still shows what is being dropped");
        ulong first = point.Sequence + 1;
        ulong last = _log.ReceivedSequence;
        if (Rules.NoteDivergenceBeforeDropping)
        {
            FileReference file = await WriteDivergenceAsync(first, cancellationToken);
            next = next with { Divergence = [.. next.Divergence, new DivergenceEntry(point.Point.Id, _manifest.Line, first, last, file)] };
        }

        await ChangeAsync(next with { Segments = PlanRuns(_manifest.Applied.Sequence, point.Sequence) });
        List<SegmentFile> dropped = [.. _log.Segments.Where(s => s.FirstSequence > point.Sequence)];
        foreach (Pin pin in cut)
        {
            // Published before the segments are cut and their files go: a view that was reading them meanwhile looks again.
            pin.Segments = [.. _log.Segments.Where(pin.Needs)];
        }

        _log.CutAfter(point.Sequence);
        _points.RemoveAll(p => p.Sequence > point.Sequence);
        _builder.InForce = point.InForce;
        await _log.RemoveAsync(dropped, CancellationToken.None);
        Publish();
        Log.Dropped(_env.Logger, Id, first, last);
    }

    private async ValueTask<FileReference> WriteDivergenceAsync(ulong first, CancellationToken cancellationToken)
    {
        SortedDictionary<DiskId, ExtentSet> extents = [];
        List<SegmentExtent> records = [];
        foreach (SegmentFile segment in _log.Segments.Where(s => s.LastSequence >= first))
        {
            records.Clear();
            await segment.CollectAllAsync(first - 1, records, cancellationToken);
            foreach (SegmentExtent record in records)
            {
                if (!extents.TryGetValue(record.Entry.Disk, out ExtentSet? set))
                {
                    extents.Add(record.Entry.Disk, set = new ExtentSet());
                }

                set.Add(record.Entry.Range);
            }
        }

        // The random part: a name is never used twice, also when a drop that failed is tried again.
        string name = string.Create(CultureInfo.InvariantCulture, $"{DivergenceFolder}/{_manifest.Line}-{first}-{_env.Ids.NewGuid():N}.ext");
        return await SmallFile.CreateAsync(_env.Store, name, DivergenceFile.Encode(Id, extents));
    }
}
