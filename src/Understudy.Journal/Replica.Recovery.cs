using Understudy.Blocks;
using Understudy.Journal.Manifests;
using Understudy.Journal.Pins;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Journal;

/// <summary>Opening a replica, after a clean end or a crash alike.</summary>
public sealed partial class Replica
{
    /// <summary>
    /// Opens the replica in the folder. A torn tail is cut at the last whole record; damage in what was acknowledged is
    /// an error that says where, and nothing is changed. An apply that was interrupted in the middle of a batch does that
    /// batch again (the images must be reachable); the rest of it goes on with the next apply. The data is not read.
    /// </summary>
    public static async ValueTask<Replica> OpenAsync(ReplicaEnvironment env, CancellationToken cancellationToken)
    {
        env.Settings.Validate();
        if (!await ExistsAsync(env, cancellationToken))
        {
            throw new StorageException(FaultKind.Missing, ManifestFile.Name, "there is no replica in this folder");
        }

        Manifest manifest = await ManifestFile.ReadAsync(env.Store, cancellationToken);

        // A process killed between the rename and the flush leaves a name that only memory has: nothing may rely on it yet.
        await env.Store.FlushFolderAsync("", cancellationToken);
        if (manifest.Retired)
        {
            await DeleteAllFilesAsync(env.Store, cancellationToken);
            throw new StorageException(FaultKind.Missing, ManifestFile.Name, "the replica that was here has been deleted");
        }

        SegmentLog log = await SegmentLog.OpenAsync(LogOptions(env, manifest.Replica, JournalPrefix), manifest.Segments, cancellationToken);
        Replica replica = new(env, manifest, log);
        try
        {
            await replica.RecoverAsync(cancellationToken);
            return replica;
        }
        catch
        {
            await replica.DisposeAsync();
            throw;
        }
    }

    private async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        CheckContinuity();
        if (_manifest.Applied.Records is { } records)
        {
            PointState applied = await ReadKeptPointAsync(_builder, records, cancellationToken);
            _baseGeometry = applied.Geometry;
            _points.Add(applied);
        }

        await ReadControlsAsync(cancellationToken);
        foreach (PinEntry entry in _manifest.Pins)
        {
            _pins.Add(await OpenPinAsync(entry, cancellationToken));
        }

        await RemoveStraysAsync(cancellationToken);
        Publish();
        if (_manifest.Applying is { } unfinished)
        {
            await WriteBaseAsync(unfinished.To, onlyRedo: true, cancellationToken);
        }

        await DeleteGoneDisksAsync(cancellationToken);
        Log.Opened(_env.Logger, Id, _manifest.Line, _listed.Count, _log.ReceivedSequence);
    }

    /// <summary>Every record that the base does not hold has to be in the journal.</summary>
    private void CheckContinuity()
    {
        ulong expected = _manifest.Applied.Sequence + 1;
        foreach (SegmentFile segment in _log.Segments)
        {
            if (segment.LastSequence < expected)
            {
                continue;
            }

            if (segment.FirstSequence > expected)
            {
                throw new StorageException(FaultKind.Missing, segment.Name,
                    $"records {expected} to {segment.FirstSequence - 1} are in no segment", "Bring the missing segments back, or resynchronise the VM.");
            }

            expected = segment.LastSequence + 1;
        }

        if (expected != _log.ReceivedSequence + 1)
        {
            throw new StorageException(FaultKind.Missing, JournalPrefix, $"records after {expected - 1} are in no segment", "Resynchronise the VM.");
        }
    }

    private async ValueTask ReadControlsAsync(CancellationToken cancellationToken)
    {
        List<SegmentExtent> controls = [];
        foreach (SegmentFile segment in _log.Segments)
        {
            await segment.CollectControlsAsync(controls, cancellationToken);
        }

        byte[] buffer = [];
        foreach (SegmentExtent control in controls)
        {
            if (control.Entry.Sequence > _manifest.Applied.Sequence)
            {
                buffer = buffer.Length < control.Entry.RecordBytes ? new byte[control.Entry.RecordBytes] : buffer;
                RecordHeader header = await control.Segment.ReadRecordAsync(control.Entry, buffer, cancellationToken);
                if (_builder.Take(header, buffer.AsSpan(0, header.RecordBytes), control) is { } point)
                {
                    _points.Add(point);
                }
            }
        }
    }

    private async ValueTask<PointState> ReadKeptPointAsync(PointBuilder builder, FileReference file, CancellationToken cancellationToken)
    {
        byte[] bytes = await SmallFile.ReadAsync(_env.Store, file, cancellationToken);
        int at = 0;
        while (at < bytes.Length)
        {
            ReadOnlySpan<byte> rest = bytes.AsSpan(at);
            if (RecordHeader.Read(rest, out RecordHeader header) != RecordDefect.None || header.IsExtent || rest.Length < header.RecordBytes)
            {
                break;
            }

            if (builder.Take(header, rest[..header.RecordBytes], default, bytes) is { } point)
            {
                return point;
            }

            at += header.RecordBytes;
        }

        throw new StorageException(FaultKind.Corrupt, file.Name, "it does not say what its point is", "Resynchronise the VM.");
    }

    private async ValueTask<Pin> OpenPinAsync(PinEntry entry, CancellationToken cancellationToken)
    {
        PointState point = await ReadKeptPointAsync(new PointBuilder(_codec), entry.Records, cancellationToken);
        GeometryBody? baseGeometry = entry.BaseRecords is { } records
            ? (await ReadKeptPointAsync(new PointBuilder(_codec), records, cancellationToken)).Geometry
            : null;
        Pin pin = new(entry.Id, point, new PinSpan(entry.Base, entry.Through, baseGeometry)) { Entry = entry };
        pin.Segments = [.. _log.Segments.Where(pin.Needs)];
        if (entry.HasPreImages)
        {
            pin.Use(await SegmentLog.OpenAsync(LogOptions(_env, Id, PreImagePrefix(entry.Id)), [SegmentRun.Open(1, 1)], cancellationToken));
        }

        return pin;
    }
}
