using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Bases;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>Reading everything there is, to find damage before it is needed (SEC-5).</summary>
public sealed partial class Replica
{
    /// <summary>
    /// Reads and verifies every record, every index page, every pre-image and every block of the base. Goes on beside
    /// appends and views, not beside an apply. A segment that goes meanwhile, because the last view or pin that needed it has
    /// ended, is nobody's any more and no damage. Damage is reported, never repaired; a fault of the device itself throws.
    /// </summary>
    public async ValueTask<VerifyReport> VerifyAsync(IProgress<VerifyProgress>? progress, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass applying = await _applyGate.EnterAsync(cancellationToken);
        Verification verification = new(progress);
        List<(string What, SegmentFile Segment)> segments = [];
        List<(BaseDisk? Disk, DiskGeometry Geometry, StorageException? Fault)> bases = [];
        using (AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken))
        {
            ThrowIfDead();
            await _log.FlushAsync(cancellationToken);
            segments.AddRange(_log.Segments.Select(s => ("journal", s)));
            segments.AddRange(_pins.SelectMany(p => p.PreImages?.Segments ?? []).Select(s => ("pre-images", s)));
            foreach (DiskGeometry disk in _manifest.BaseStage == BaseStage.Released ? [] : _baseGeometry?.Disks ?? [])
            {
                bases.Add(await TryGetBaseAsync(disk, cancellationToken));
            }
        }

        verification.TotalBytes = segments.Sum(s => s.Segment.FileBytes) + bases.Sum(b => b.Geometry.SizeBytes);
        foreach ((string what, SegmentFile segment) in segments)
        {
            await VerifyIfNeededAsync(what, segment, verification, cancellationToken);
        }

        foreach ((BaseDisk? disk, DiskGeometry geometry, StorageException? fault) in bases)
        {
            if (disk is null)
            {
                verification.Add("base", new ByteRange(0, geometry.SizeBytes), geometry.Disk, fault!.Message);
                continue;
            }

            await VerifyBaseAsync(disk, geometry, verification, cancellationToken);
        }

        return verification.Report();
    }

    /// <summary>What is found in a segment counts while something still needs it.</summary>
    private async ValueTask VerifyIfNeededAsync(string what, SegmentFile segment, Verification verification, CancellationToken cancellationToken)
    {
        long found = verification.Found;
        try
        {
            await VerifySegmentAsync(what, segment, verification, cancellationToken);
        }
        catch (StorageException)
        {
            if (await IsNeededAsync(segment, cancellationToken))
            {
                throw;
            }
        }

        if (verification.Found > found && !await IsNeededAsync(segment, cancellationToken))
        {
            verification.ForgetAfter(found);
        }
    }

    private async ValueTask<bool> IsNeededAsync(SegmentFile segment, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        return _log.Segments.Contains(segment) || _pins.Exists(pin => pin.PreImages?.Segments.Contains(segment) == true);
    }

    private async ValueTask<(BaseDisk?, DiskGeometry, StorageException?)> TryGetBaseAsync(DiskGeometry disk, CancellationToken cancellationToken)
    {
        try
        {
            return (await GetBaseAsync(disk, create: false, cancellationToken), disk, null);
        }
        catch (StorageException e) when (e.Kind is FaultKind.Corrupt or FaultKind.Missing)
        {
            return (null, disk, e);
        }
    }

    private static async ValueTask VerifySegmentAsync(
        string what, SegmentFile segment, Verification verification, CancellationToken cancellationToken)
    {
        if (!await segment.IsIndexWholeAsync(cancellationToken))
        {
            verification.Add(what, default, null, $"{segment.Name}: a page of the index is damaged (its records still tell the same)");
        }

        List<SegmentExtent> records = [];
        byte[] buffer = ArrayPool<byte>.Shared.Rent(RecordLimits.MaxRecordBytes);
        try
        {
            await segment.CollectAllAsync(0, records, cancellationToken);
            await segment.CollectControlsAsync(records, cancellationToken);
            foreach (SegmentExtent record in records)
            {
                try
                {
                    await segment.ReadRecordAsync(record.Entry, buffer, cancellationToken);
                }
                catch (StorageException e) when (e.Kind == FaultKind.Corrupt)
                {
                    verification.Add(what, record.Entry.Range, record.Entry.IsExtent ? record.Entry.Disk : null, e.Message);
                }

                verification.Advance(record.Entry.RecordBytes);
            }
        }
        catch (StorageException e) when (e.Kind is FaultKind.Corrupt or FaultKind.Missing)
        {
            verification.Add(what, default, null, e.Message);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async ValueTask VerifyBaseAsync(
        BaseDisk disk, DiskGeometry geometry, Verification verification, CancellationToken cancellationToken)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BlockSize.Bytes);
        try
        {
            for (long block = 0; block < BlockSize.CountFor(geometry.SizeBytes); block++)
            {
                try
                {
                    await disk.ReadAsync(block, buffer.AsMemory(0, BlockSize.Bytes), cancellationToken);
                }
                catch (StorageException e) when (e.Kind == FaultKind.Corrupt)
                {
                    verification.Add("base", RecordLimits.BlockRange(block), geometry.Disk, e.Message);
                }

                verification.Advance(BlockSize.Bytes);
            }
        }
        catch (StorageException e) when (e.Kind == FaultKind.Missing)
        {
            verification.Add("base", new ByteRange(0, geometry.SizeBytes), geometry.Disk, e.Message);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private sealed class Verification(IProgress<VerifyProgress>? progress)
    {
        private const int MaxDamages = 10_000;
        private const long ReportEvery = 16 * 1024 * 1024;

        private readonly List<Damage> _damages = [];
        private long _done;
        private long _reported;
        private long _found;

        public long TotalBytes { get; set; }

        public long Found => _found;

        public void ForgetAfter(long found)
        {
            _found = found;
            if (_damages.Count > found)
            {
                _damages.RemoveRange((int)found, _damages.Count - (int)found);
            }
        }

        public void Add(string where, ByteRange range, DiskId? disk, string what)
        {
            _found++;
            if (_damages.Count < MaxDamages)
            {
                _damages.Add(new Damage(where, disk, range, what));
            }
        }

        public void Advance(long bytes)
        {
            _done += bytes;
            if (_done - _reported >= ReportEvery)
            {
                _reported = _done;
                progress?.Report(new VerifyProgress(Math.Min(_done, TotalBytes), TotalBytes, _found));
            }
        }

        public VerifyReport Report() => new(_done, _found, _damages);
    }
}

/// <summary>How far a verification is.</summary>
public readonly record struct VerifyProgress(long BytesDone, long BytesTotal, long DamagesFound);

/// <summary>What a verification has found: all of the damage when <see cref="DamageCount"/> equals the list's, else the first of it.</summary>
public sealed record VerifyReport(long BytesRead, long DamageCount, IReadOnlyList<Damage> Damages)
{
    public bool IsWhole => DamageCount == 0;
}

/// <summary>One damaged place. <paramref name="Where"/> is journal, pre-images or base; the range is on the disk, where there is one.</summary>
public sealed record Damage(string Where, DiskId? Disk, ByteRange Range, string What);
