using System.Buffers;
using System.Diagnostics;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;

namespace Understudy.Journal.Segments;

/// <summary>Opening a log: every file is judged by <see cref="SegmentRecoveryTable"/>, in order, and only then used.</summary>
public sealed partial class SegmentLog
{
    /// <summary>Opens a log whose segments are all the files there are (a spool, the pre-images of a pin).</summary>
    public static async ValueTask<SegmentLog> OpenAsync(SegmentLogOptions options, CancellationToken cancellationToken)
    {
        ulong first = ulong.MaxValue;
        foreach (StoreEntry entry in await options.Store.ListAsync(options.Folder, cancellationToken))
        {
            if (SegmentHeader.TryParseName(options.Prefix, entry.Name, out ulong number))
            {
                first = Math.Min(first, number);
            }
        }

        return await OpenAsync(options, [new SegmentRun(first == ulong.MaxValue ? 1 : first, null, 0, null)], cancellationToken);
    }

    /// <summary>
    /// Opens a log that holds these runs and nothing else: files outside them are left from something that was given up,
    /// and removed. A first sequence of 0 in the first run takes what the first segment says.
    /// </summary>
    internal static async ValueTask<SegmentLog> OpenAsync(
        SegmentLogOptions options, IReadOnlyList<SegmentRun> runs, CancellationToken cancellationToken)
    {
        options.Segments.Validate();
        Invariant.Check(runs.Count > 0 && runs[^1].IsOpen, "the last run of a log is open");
        ReadHandles handles = new(options.Store, options.OpenFiles);
        (Watermark? mark, MarkTrust trust) = await WatermarkFile.ReadAsync(options.Store, options.Prefix, options.Replica, cancellationToken);
        Recovery recovery = new(options, handles, mark, trust);
        try
        {
            await recovery.RunAsync(runs, cancellationToken);
            SegmentLog log = new(options, await recovery.ReadyMarkAsync(cancellationToken), handles)
            {
                _segments = [.. recovery.Segments],
                _writer = recovery.Writer,
                _nextNumber = recovery.NextNumber,
                ReceivedSequence = recovery.LastSequence,
                FlushedSequence = recovery.LastSequence,
            };
            Log.Recovered(options.Logger, options.Prefix, log._segments.Length, log.ReceivedSequence);
            return log;
        }
        catch
        {
            if (recovery.Writer is { } writer)
            {
                await writer.DisposeAsync();
            }

            await handles.DisposeAsync();
            throw;
        }
    }

    private sealed class Recovery(SegmentLogOptions options, ReadHandles handles, Watermark? mark, MarkTrust trust)
    {
        private readonly HashSet<ulong> _present = [];
        private ulong _highestPresent;
        private ulong _highestSeen;
        private ulong? _expectedFirst;

        public List<SegmentFile> Segments { get; } = [];

        public SegmentWriter? Writer { get; private set; }

        public ulong LastSequence { get; private set; }

        public ulong NextNumber { get; private set; }

        public async ValueTask RunAsync(IReadOnlyList<SegmentRun> runs, CancellationToken cancellationToken)
        {
            await ListAsync(runs, cancellationToken);
            foreach (SegmentRun run in runs)
            {
                _expectedFirst = run.FirstSequence == 0 ? null : run.FirstSequence;
                LastSequence = _expectedFirst is { } first ? first - 1 : 0;
                await OpenRunAsync(run, cancellationToken);
            }

            if (mark is null && !_present.Any(runs[^1].Holds))
            {
                throw new StorageException(FaultKind.Missing, WatermarkFile.NameOf(options.Prefix),
                    "neither a segment nor the record of what was acknowledged is there: nobody can say what this journal held",
                    "Bring the folder back, or resynchronise the VM.");
            }

            ulong used = Math.Max(_highestSeen, mark?.Segment ?? 0);
            NextNumber = Math.Max(runs[^1].From, used + 1);
            if (mark is { } m && m.Segment >= runs[^1].From && LastSequence < m.Sequence)
            {
                throw Corrupt(SegmentHeader.NameOf(options.Prefix, m.Segment), m.Offset,
                    $"the records end with sequence {LastSequence}, acknowledged was {m.Sequence}");
            }

            if (_expectedFirst is null && mark is { } empty)
            {
                LastSequence = empty.Sequence; // A log without segments goes on where it was created, or emptied.
            }
        }

        /// <summary>The mark, ready to be advanced: both slots whole, and saying at least what was found.</summary>
        public async ValueTask<WatermarkFile> ReadyMarkAsync(CancellationToken cancellationToken)
        {
            Watermark found = new((mark?.Count ?? 0) + 1, mark?.Segment ?? 0, mark?.Offset ?? 0, LastSequence);
            if (Writer is { } writer)
            {
                found = found with { Segment = writer.Header.Number, Offset = writer.EndBytes };
            }
            else if (Segments.Count > 0 && Segments[^1].Number >= found.Segment)
            {
                found = found with { Segment = Segments[^1].Number, Offset = Segments[^1].FileBytes };
            }

            if (trust == MarkTrust.Doubtful)
            {
                Log.MarkRemade(options.Logger, options.Prefix);
            }

            return trust == MarkTrust.Certain
                ? await WatermarkFile.ResumeAsync(options.Store, options.Prefix, options.Replica, found, cancellationToken)
                : await WatermarkFile.CreateAsync(options.Store, options.Prefix, options.Replica, found, cancellationToken);
        }

        private async ValueTask ListAsync(IReadOnlyList<SegmentRun> runs, CancellationToken cancellationToken)
        {
            foreach (StoreEntry entry in await options.Store.ListAsync(options.Folder, cancellationToken))
            {
                if (!SegmentHeader.TryParseName(options.Prefix, entry.Name, out ulong number))
                {
                    continue;
                }

                _highestSeen = Math.Max(_highestSeen, number);
                if (runs.Any(r => r.Holds(number)))
                {
                    _present.Add(number);
                    _highestPresent = Math.Max(_highestPresent, number);
                }
                else
                {
                    await options.Store.DeleteAsync(entry.Name, cancellationToken);
                    Log.StrayRemoved(options.Logger, entry.Name);
                }
            }
        }

        private async ValueTask OpenRunAsync(SegmentRun run, CancellationToken cancellationToken)
        {
            for (ulong number = run.From; run.Through is null || number <= run.Through; number++)
            {
                bool last = run.IsOpen && number >= _highestPresent;
                SegmentVerdict verdict = await OpenSegmentAsync(number, last, cancellationToken);
                if (verdict is SegmentVerdict.End or SegmentVerdict.Discard)
                {
                    return;
                }
            }

            ulong through = run.LastSequence ?? LastSequence;
            if (LastSequence < through)
            {
                throw Corrupt(SegmentHeader.NameOf(options.Prefix, run.Through ?? 0), 0, $"ends with sequence {LastSequence}, the manifest counts on {through}");
            }

            foreach (SegmentFile segment in Segments)
            {
                if (run.Holds(segment.Number) && segment.LastSequence > through)
                {
                    segment.CutAfter(through);
                }
            }

            LastSequence = through;
        }

        private async ValueTask<SegmentVerdict> OpenSegmentAsync(ulong number, bool last, CancellationToken cancellationToken)
        {
            string name = SegmentHeader.NameOf(options.Prefix, number);
            FoundPlace place = number <= (mark?.Segment ?? 0) ? FoundPlace.Acknowledged : FoundPlace.Beyond;
            (FoundFile found, SegmentHeader? header, SegmentTrailer? trailer, SegmentFile? segment) =
                await LookAsync(number, name, cancellationToken);

            SegmentProbe.RecordWalk? walk = null;
            FoundBreak broken = FoundBreak.None;
            if (SegmentRecoveryTable.NeedsScan(found, last))
            {
                (walk, broken) = await WalkAsync(number, name, header!, trailer, last, cancellationToken);
            }

            SegmentVerdict verdict = SegmentRecoveryTable.Decide(found, place, last, trust, broken);
            switch (verdict)
            {
                case SegmentVerdict.End:
                    return verdict;
                case SegmentVerdict.Discard:
                    await handles.ForgetAsync(name);
                    await options.Store.DeleteAsync(name, cancellationToken);

                    // Before the mark is written again: beside one that was torn by a power loss the file would count as acknowledged.
                    await options.Store.FlushFolderAsync(options.Folder, cancellationToken);
                    _highestSeen = number - 1; // Its number is used again: a gap would be taken for a lost segment.
                    Log.SegmentDiscarded(options.Logger, name);
                    return verdict;
                case SegmentVerdict.Use when !last:
                    break;
                case SegmentVerdict.Use or SegmentVerdict.Cut:
                    NoteDamage(name, walk!);
                    segment = await ResumeAsync(name, header!, walk!, cancellationToken);
                    break;
                case SegmentVerdict.Reindex:
                    Log.IndexRemade(options.Logger, name);
                    NoteDamage(name, walk!);
                    segment = SegmentFile.OfLive(handles, name, header!, walk!.Entries);
                    break;
                case SegmentVerdict.RefuseMissing:
                    throw new StorageException(FaultKind.Missing, name, "this segment of the journal is gone; what it held cannot be read",
                        "Bring the file back, or resynchronise the VM.");
                case SegmentVerdict.RefuseLaterVersion:
                    throw new StorageException(FaultKind.Denied, name, "written by a later version of Understudy", "Upgrade this agent.");
                case SegmentVerdict.RefuseForeign:
                    throw Corrupt(name, 0, $"belongs elsewhere: replica {header?.Replica}, number {header?.Number}, first sequence {header?.FirstSequence}; "
                        + $"here belong replica {options.Replica}, number {number}, first sequence {_expectedFirst}");
                case SegmentVerdict.RefuseCorrupt:
                    throw walk is null
                        ? Corrupt(name, 0, "its header does not match its checksum")
                        : Corrupt(name, walk.EndOffset, $"no whole record here ({walk.Break}), in the part that was acknowledged");
                default:
                    throw new UnreachableException();
            }

            Segments.Add(segment!);
            LastSequence = segment!.LastSequence;
            _expectedFirst = LastSequence + 1;
            return verdict;
        }

        private async ValueTask<(FoundFile Found, SegmentHeader? Header, SegmentTrailer? Trailer, SegmentFile? Segment)> LookAsync(
            ulong number, string name, CancellationToken cancellationToken)
        {
            if (!_present.Contains(number))
            {
                return (FoundFile.Missing, null, null, null);
            }

            (SegmentDefect defect, SegmentHeader? header) = await SegmentProbe.ReadHeaderAsync(handles, name, cancellationToken);
            if (header is null)
            {
                return (defect == SegmentDefect.UnknownVersion ? FoundFile.LaterVersion : FoundFile.BrokenHeader, null, null, null);
            }

            bool follows = _expectedFirst is null || header.FirstSequence == _expectedFirst;
            if (header.Replica != options.Replica || header.Number != number || !follows)
            {
                return (FoundFile.Foreign, header, null, null);
            }

            SegmentTrailer? trailer = await SegmentProbe.ReadTrailerAsync(handles, name, header, cancellationToken);
            SegmentFile? segment = trailer is null
                ? null
                : await SegmentFile.TryOpenSealedAsync(handles, name, header, trailer, cancellationToken);
            return segment is null ? (FoundFile.Unsealed, header, trailer, null) : (FoundFile.Sealed, header, trailer, segment);
        }

        private async ValueTask<(SegmentProbe.RecordWalk Walk, FoundBreak Break)> WalkAsync(
            ulong number, string name, SegmentHeader header, SegmentTrailer? trailer, bool last, CancellationToken cancellationToken)
        {
            // Before a later segment everything was flushed; in the last one, everything before the mark.
            long durableEnd = !last || mark is null || number < mark.Value.Segment ? long.MaxValue
                : number == mark.Value.Segment ? mark.Value.Offset
                : SegmentHeader.SizeBytes;
            ulong lastWanted = last ? ulong.MaxValue : await LastBeforeNextAsync(number, cancellationToken);
            await using ReadHandles.Lease lease = await handles.RentAsync(name, cancellationToken);
            long end = trailer?.RecordsEnd ?? lease.File.LengthBytes;
            SegmentProbe.RecordWalk walk = await SegmentProbe.WalkAsync(lease.File, header, end, durableEnd, lastWanted, cancellationToken);
            bool complete = last
                ? walk.Break == RecordDefect.None
                : lastWanted == ulong.MaxValue || header.FirstSequence + (ulong)walk.Entries.Count == lastWanted + 1;
            FoundBreak broken = complete ? FoundBreak.None
                : !last || walk.EndOffset < durableEnd ? FoundBreak.BeforeMark
                : FoundBreak.AfterMark;
            return (walk, broken);
        }

        /// <summary>The next segment's header says where this one ends; unknown when that header is broken, or this is the end of a run.</summary>
        private async ValueTask<ulong> LastBeforeNextAsync(ulong number, CancellationToken cancellationToken)
        {
            if (!_present.Contains(number + 1))
            {
                return ulong.MaxValue;
            }

            (_, SegmentHeader? next) = await SegmentProbe.ReadHeaderAsync(
                handles, SegmentHeader.NameOf(options.Prefix, number + 1), cancellationToken);
            return next is null || next.FirstSequence <= 1 ? ulong.MaxValue : next.FirstSequence - 1;
        }

        /// <summary>
        /// Makes the last segment end with its last whole record, durably, and goes on writing to it. Its index, if it had
        /// one, is cut too and made again: nobody knows whether its flush was ever reached.
        /// </summary>
        private async ValueTask<SegmentFile> ResumeAsync(
            string name, SegmentHeader header, SegmentProbe.RecordWalk walk, CancellationToken cancellationToken)
        {
            await handles.ForgetAsync(name);
            IStoreFile file = await options.Store.OpenAsync(name, FileOpen.Existing, cancellationToken);
            try
            {
                if (file.LengthBytes > walk.EndOffset)
                {
                    if (walk.Break != RecordDefect.None)
                    {
                        Log.TailCut(options.Logger, name, walk.EndOffset, file.LengthBytes - walk.EndOffset, walk.Break.ToString());
                    }

                    await file.SetLengthAsync(walk.EndOffset, cancellationToken);
                }

                long from = mark is { } m && m.Segment == header.Number && trust == MarkTrust.Certain ? m.Offset : 0;
                await RewriteAsync(file, from, walk.EndOffset, cancellationToken);
                await file.FlushAsync(cancellationToken);
                await options.Store.FlushFolderAsync(options.Folder, cancellationToken);
                Writer = SegmentWriter.Resume(file, header, options.Segments, walk.Entries, walk.EndOffset);
                return SegmentFile.OfLive(handles, name, header, walk.Entries);
            }
            catch
            {
                await file.DisposeAsync();
                throw;
            }
        }

        /// <summary>Writes the same bytes again: after a flush that failed, memory can hold them as clean though no disk has them.</summary>
        private static async ValueTask RewriteAsync(IStoreFile file, long from, long to, CancellationToken cancellationToken)
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(1024 * 1024);
            try
            {
                while (from < to)
                {
                    int wanted = (int)Math.Min(buffer.Length, to - from);
                    int read = await file.ReadAsync(from, buffer.AsMemory(0, wanted), cancellationToken);
                    Invariant.Check(read == wanted, "records that were walked can be read again");
                    await file.WriteAsync(from, buffer.AsMemory(0, read), cancellationToken);
                    from += read;
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }

        private void NoteDamage(string name, SegmentProbe.RecordWalk walk)
        {
            foreach (IndexEntry entry in walk.Damaged)
            {
                Log.PayloadDamaged(options.Logger, name, entry.Sequence, entry.FileOffset);
            }
        }

        private static StorageException Corrupt(string name, long offset, string what) => new(
            FaultKind.Corrupt, name, $"at offset {offset}: {what}",
            "Nothing was changed. Bring the file back from a copy, or resynchronise the VM.");
    }
}
