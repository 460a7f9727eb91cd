using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Manifests;
using Understudy.Journal.Pins;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>Which segments and kept records are still needed, and deleting the others.</summary>
public sealed partial class Replica
{
    private const string KeptFolder = "kept";

    /// <summary>
    /// The runs that a manifest must name: all segments after <paramref name="applied"/>, up to
    /// <paramref name="cutAfter"/> when records are being dropped, and those that durable pins need. Open views are not
    /// asked: they end with the process, and what only they hold is removed when it is found.
    /// </summary>
    private List<SegmentRun> PlanRuns(ulong applied, ulong? cutAfter, IReadOnlyList<Pin>? pins = null)
    {
        ulong through = cutAfter ?? ulong.MaxValue;
        pins ??= _pins;
        List<SegmentRun> runs = [];
        SegmentFile? previous = null;
        foreach (SegmentFile segment in _log.Segments)
        {
            ulong last = Math.Min(segment.LastSequence, through);
            bool needed = segment.FirstSequence <= through
                && (segment.LastSequence > applied || IsOpen(segment) || pins.Any(p => p.IsDurable && p.Needs(segment)));
            if (!needed)
            {
                continue;
            }

            if (runs is [.., var run] && run.Through == segment.Number - 1 && run.LastSequence == segment.FirstSequence - 1
                && !previous!.IsCut)
            {
                runs[^1] = run with { Through = segment.Number, LastSequence = last };
            }
            else
            {
                runs.Add(new SegmentRun(segment.Number, segment.Number, segment.FirstSequence, last));
            }

            previous = segment;
        }

        // The last run stays open when the log goes on in it; otherwise the next segment begins a new one. The last
        // segment there is need not be the last there was: those after it may have been applied and deleted.
        bool goesOn = cutAfter is null && runs.Count > 0 && _log.Segments[^1] is { IsCut: false } end
            && end.Number == runs[^1].Through && end.Number + 1 == _log.NextNumber;
        if (goesOn)
        {
            runs[^1] = runs[^1] with { Through = null, LastSequence = null };
        }
        else
        {
            runs.Add(SegmentRun.Open(_log.NextNumber, (cutAfter ?? _log.ReceivedSequence) + 1));
        }

        return runs;
    }

    private bool IsOpen(SegmentFile segment) => _log.IsOpen(segment);

    /// <summary>
    /// Deletes segments that neither the journal nor any pin, durable or of an open view, needs. What the manifest still
    /// names stays until a later one does not: opening would take it for lost.
    /// </summary>
    private async ValueTask DeleteUnneededAsync()
    {
        ulong applied = _manifest.Applied.Sequence;
        List<SegmentFile> unneeded = [.. _log.Segments.Where(s =>
            s.LastSequence <= applied && !IsOpen(s) && !_pins.Any(p => p.Needs(s)) && !_manifest.Segments.Any(r => r.Holds(s.Number)))];
        await _log.RemoveAsync(unneeded, CancellationToken.None);
    }

    /// <summary>The records that say what a point is, whole and in order: geometry, definition parts, checkpoint.</summary>
    private static async ValueTask<byte[]> ReadPointRecordsAsync(PointState point, CancellationToken cancellationToken)
    {
        if (point.Kept is { } kept)
        {
            return kept;
        }

        using MemoryStream records = new();
        records.Write(point.InForce.Geometry!.Record); // A checkpoint is accepted only with a geometry in force.
        foreach (ControlRecord definition in point.InForce.Definitions.Values)
        {
            records.Write(definition.Record);
        }

        byte[] checkpoint = new byte[point.Source.Entry.RecordBytes];
        await point.Source.Segment.ReadRecordAsync(point.Source.Entry, checkpoint, cancellationToken);
        records.Write(checkpoint);
        return records.ToArray();
    }

    /// <summary>Writes the records of a point beside the segments that will be deleted; nothing to do when that was done.</summary>
    private async ValueTask<FileReference> KeepAsync(PointState point, byte[] records)
    {
        RecoveryPointId id = point.Point.Id;
        string name = $"{KeptFolder}/{id.Line}-{id.Sequence}.rec";
        FileReference? existing = _pins.Find(p => p.Entry?.Records.Name == name)?.Entry?.Records
            ?? (_manifest.Applied.Records is { } applied && applied.Name == name ? applied : null);
        return existing ?? await SmallFile.CreateAsync(_env.Store, name, records);
    }

    /// <summary>Deletes a kept file when nothing refers to it any more.</summary>
    private async ValueTask ForgetKeptAsync(FileReference? file)
    {
        if (file is not null && !References(file.Name))
        {
            await _env.Store.DeleteAsync(file.Name, CancellationToken.None);
        }
    }

    private bool References(string name) =>
        _manifest.Applied.Records?.Name == name
        || _manifest.Pins.Any(p => p.Records.Name == name || p.BaseRecords?.Name == name)
        || _manifest.Divergence.Any(d => d.Extents.Name == name);

    /// <summary>Removes files that no manifest refers to: left by a crash, or by views of a process that is gone.</summary>
    private async ValueTask RemoveStraysAsync(CancellationToken cancellationToken)
    {
        foreach (string folder in (string[])[KeptFolder, DivergenceFolder, PinsFolder])
        {
            foreach (StoreEntry entry in await _env.Store.ListAsync(folder, cancellationToken))
            {
                bool known = folder == PinsFolder
                    ? _manifest.Pins.Any(p => p.HasPreImages && entry.Name.StartsWith(PreImagePrefix(p.Id), StringComparison.Ordinal))
                    : References(entry.Name);
                if (!known)
                {
                    await _env.Store.DeleteAsync(entry.Name, cancellationToken);
                    Log.StrayRemoved(_env.Logger, entry.Name);
                }
            }
        }
    }

    private static async ValueTask DeleteAllFilesAsync(IFileStore store, CancellationToken cancellationToken)
    {
        foreach (string folder in (string[])["journal", PinsFolder, KeptFolder, DivergenceFolder, "base"])
        {
            StoreEntry[] ours = [.. (await store.ListAsync(folder, cancellationToken)).Where(f => !IsBaseImage(f.Name))];
            foreach (StoreEntry entry in ours)
            {
                await store.DeleteAsync(entry.Name, cancellationToken);
            }

            // Before the manifest goes: segments that come back after a power loss without it would look like a damaged replica.
            await store.FlushDeletionsAsync(folder, cancellationToken);
        }

        await store.DeleteAsync(Bases.ApplyLog.Name, cancellationToken);
        await store.DeleteAsync(ManifestFile.Name + ".new", cancellationToken);
        await store.DeleteAsync(ManifestFile.Name, cancellationToken);
        await store.FlushFolderAsync("", cancellationToken);
    }

    /// <summary>The images are their owner's, also when they lie in our folder: only our sums of them are deleted.</summary>
    private static bool IsBaseImage(string name) =>
        name.StartsWith("base/", StringComparison.Ordinal) && !name.Contains(".sums", StringComparison.Ordinal);
}
