using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>Taking records in.</summary>
public sealed partial class Replica
{
    /// <summary>
    /// Takes one whole record, header and payload, as the source made it. Everything about it is verified here. The bytes
    /// are copied before this returns; durable after the next flush.
    /// </summary>
    public async ValueTask<AppendOutcome> AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        if (Refuse(record.Span, out RecordHeader header) is { } refusal)
        {
            return refusal;
        }

        try
        {
            await _log.AppendAsync(header, record, cancellationToken);
        }
        catch (StorageException e) when (e.Kind == FaultKind.Full)
        {
            return new AppendOutcome.Full(e.Message);
        }
        catch (StorageException)
        {
            _isDead = true;
            throw;
        }

        if (!header.IsExtent)
        {
            Take(header, record.Span);
        }

        return AppendOutcome.Accepted.Instance;
    }

    /// <summary>Makes everything received durable. What this returns may be acknowledged, and points up to it are listed.</summary>
    public async ValueTask<ulong> FlushAsync(CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        ThrowIfDead();
        try
        {
            await _log.FlushAsync(cancellationToken);
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            _isDead = true;
            throw;
        }

        ListFlushedPoints();
        PublishStatus();
        return _log.FlushedSequence;
    }

    /// <summary>Adds points that have become durable since points were last listed, by this flush or by the end of a segment.</summary>
    private void ListFlushedPoints()
    {
        ulong flushed = _log.FlushedSequence;
        for (int i = _points.FindLastIndex(p => p.Sequence <= _listedThrough) + 1; i < _points.Count && _points[i].Sequence <= flushed; i++)
        {
            if (!_points[i].Hidden)
            {
                _listed = _listed.Add(_points[i].Point);
            }
        }

        _listedThrough = flushed;
    }

    private AppendOutcome? Refuse(ReadOnlySpan<byte> record, out RecordHeader header)
    {
        RecordDefect defect = RecordHeader.Read(record, out header);
        if (defect != RecordDefect.None)
        {
            return new AppendOutcome.Corrupt($"no record header: {defect}");
        }

        if (record.Length != header.RecordBytes || !header.Matches(record[RecordHeader.SizeBytes..]))
        {
            return new AppendOutcome.Corrupt($"the payload of record {header.Sequence} does not match its header");
        }

        if (header.Line != _manifest.Line && Rules.RefuseStaleLines)
        {
            return new AppendOutcome.StaleLine(_manifest.Line);
        }

        if (_manifest.BaseStage != BaseStage.Open)
        {
            return new AppendOutcome.Closed("the base is final: a failover of this VM is being committed");
        }

        if (_manifest.Lines[^1].Parent is { } parent && header.Sequence <= parent.Sequence)
        {
            return new AppendOutcome.Corrupt($"record {header.Sequence} is before the beginning of line {_manifest.Line} at {parent.Sequence + 1}");
        }

        if (header.Sequence <= _log.ReceivedSequence)
        {
            return IsDiverged(out parent) ? new AppendOutcome.Diverged(parent) : AppendOutcome.Duplicate.Instance;
        }

        if (header.Sequence != _log.ReceivedSequence + 1)
        {
            return new AppendOutcome.Gap(_log.ReceivedSequence + 1);
        }

        if (IsDiverged(out parent))
        {
            return new AppendOutcome.Diverged(parent);
        }

        return _builder.FindFault(header, record[RecordHeader.SizeBytes..]) is { } fault
            ? new AppendOutcome.Corrupt($"record {header.Sequence}: {fault}")
            : null;
    }

    /// <summary>Whether records of an older line lie after the point at which the current one begins.</summary>
    private bool IsDiverged(out RecoveryPointId parent)
    {
        parent = _manifest.Lines[^1].Parent ?? default;
        return _log.ReceivedSequence > parent.Sequence && _log.Segments is [.., var last] && last.Header.Line != _manifest.Line
            && Rules.RefuseStaleLines;
    }

    private void Take(in RecordHeader header, ReadOnlySpan<byte> record)
    {
        SegmentFile segment = _log.Segments[^1];
        SegmentExtent source = new(segment, segment.LastEntry);
        Invariant.Check(source.Entry.Sequence == header.Sequence, "the last entry is the record just appended");
        if (_builder.Take(header, record, source) is { } point)
        {
            _points.Add(point);
        }
    }
}
