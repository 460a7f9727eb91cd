using System.Collections.Immutable;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;

namespace Understudy.Journal.Segments;

/// <summary>
/// A folder of segments: the journal of a replica, the pre-images of a pin, the spool of a source. One caller at a time
/// changes it; readers of its segments run beside. Received is what was appended, flushed what is durable and noted as such.
/// After a failed flush, or a failed write that was not for lack of space, it is dead: open it anew.
/// </summary>
public sealed partial class SegmentLog : IAsyncDisposable
{
    private readonly SegmentLogOptions _options;
    private readonly ReadHandles _handles;
    private ImmutableArray<SegmentFile> _segments;
    private readonly WatermarkFile _mark;
    private SegmentWriter? _writer;
    private ulong _nextNumber;
    private bool _isDead;

    private SegmentLog(SegmentLogOptions options, WatermarkFile mark, ReadHandles handles)
    {
        _options = options;
        _mark = mark;
        _handles = handles;
        _segments = [];
    }

    /// <summary>The last sequence appended.</summary>
    public ulong ReceivedSequence { get; private set; }

    /// <summary>The last sequence that is durable, and noted durably as such.</summary>
    public ulong FlushedSequence { get; private set; }

    /// <summary>All segments in order, the open one last; a snapshot that stays valid.</summary>
    internal ImmutableArray<SegmentFile> Segments => _segments;

    /// <summary>Bytes of all segments, the footers of sealed ones included.</summary>
    public long FileBytes
    {
        get
        {
            long bytes = 0;
            foreach (SegmentFile segment in _segments)
            {
                bytes += segment.FileBytes;
            }

            return bytes;
        }
    }

    /// <summary>The number the next new segment gets.</summary>
    internal ulong NextNumber => _nextNumber;

    /// <summary>Makes an empty log, durably. Segments left in the folder by an interrupted creation are removed.</summary>
    public static async ValueTask<SegmentLog> CreateAsync(
        SegmentLogOptions options, ulong firstSequence, CancellationToken cancellationToken)
    {
        options.Segments.Validate();
        await options.Store.CreateFolderAsync(options.Folder, cancellationToken);
        await DeleteFilesAsync(options, cancellationToken);
        Watermark nothing = new(0, 0, 0, firstSequence - 1);
        WatermarkFile mark = await WatermarkFile.CreateAsync(options.Store, options.Prefix, options.Replica, nothing, cancellationToken);
        return new SegmentLog(options, mark, new ReadHandles(options.Store, options.OpenFiles))
        {
            _nextNumber = 1,
            ReceivedSequence = firstSequence - 1,
            FlushedSequence = firstSequence - 1,
        };
    }

    /// <summary>
    /// Appends a record that the caller has verified; the bytes are copied before this returns. A new segment is begun when
    /// the current one is full or of another line. <see cref="FaultKind.Full"/> leaves the log as it was.
    /// </summary>
    public async ValueTask AppendAsync(RecordHeader header, ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        ThrowIfDead();
        Invariant.Check(header.Sequence == ReceivedSequence + 1, "records of a log follow each other");
        try
        {
            if (_writer is { } full && (full.IsFull || full.Header.Line != header.Line))
            {
                await SealAsync(cancellationToken);
            }

            if (_writer is null)
            {
                await BeginSegmentAsync(header.Line, header.Sequence, cancellationToken);
            }

            await _writer!.AppendAsync(header, record, cancellationToken);
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            _isDead = true;
            throw;
        }

        ReceivedSequence = header.Sequence;
    }

    /// <summary>Makes everything appended so far durable, notes that durably, and returns up to where.</summary>
    public async ValueTask<ulong> FlushAsync(CancellationToken cancellationToken)
    {
        ThrowIfDead();
        if (!_options.Rules.FlushBeforeAcknowledging)
        {
            await (_writer?.WriteBatchAsync() ?? ValueTask.CompletedTask);
            return FlushedSequence = ReceivedSequence;
        }

        if (_writer is not null && FlushedSequence < ReceivedSequence)
        {
            try
            {
                await _writer.FlushAsync(cancellationToken);
                await _mark.AdvanceAsync(_writer.Header.Number, _writer.FlushedBytes, _writer.LastSequence);
            }
            catch (StorageException e) when (e.Kind != FaultKind.Full)
            {
                _isDead = true;
                throw;
            }

            FlushedSequence = _writer.LastSequence;
        }

        return FlushedSequence;
    }

    /// <summary>Ends the current segment, durably; the next record begins another one.</summary>
    public async ValueTask SealAsync(CancellationToken cancellationToken)
    {
        ThrowIfDead();
        if (_writer is not { } writer)
        {
            return;
        }

        try
        {
            if (!writer.IsSealed)
            {
                await writer.SealAsync(cancellationToken);
            }

            await _mark.AdvanceAsync(writer.Header.Number, writer.FlushedBytes, writer.LastSequence);
            FlushedSequence = ReceivedSequence;
            Log.Sealed(_options.Logger, writer.Name, writer.RecordCount, writer.FlushedBytes);
            await SwitchToDiskIndexAsync(writer.Name);
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            _isDead = true;
            throw;
        }

        _writer = null;
        await writer.DisposeAsync();
    }

    /// <summary>Whether records are being appended to this segment.</summary>
    internal bool IsOpen(SegmentFile segment) => _writer is { } writer && writer.Header.Number == segment.Number;

    /// <summary>
    /// Forgets all records after a sequence: the log goes on from there with new segments. The caller has noted the new
    /// runs durably before; <see cref="SealAsync"/> has been called.
    /// </summary>
    internal void CutAfter(ulong sequence)
    {
        Invariant.Check(_writer is null, "a log is sealed before it is cut");
        foreach (SegmentFile segment in _segments)
        {
            if (segment.LastSequence > sequence)
            {
                segment.CutAfter(sequence);
            }
        }

        _segments = _segments.RemoveAll(s => s.FirstSequence > sequence);
        ReceivedSequence = sequence;
        FlushedSequence = sequence;
    }

    /// <summary>Deletes the files of segments that no run holds any more. Readers must be done with them.</summary>
    internal async ValueTask RemoveAsync(IReadOnlyCollection<SegmentFile> segments, CancellationToken cancellationToken)
    {
        _segments = _segments.RemoveAll(s => segments.Contains(s));
        foreach (SegmentFile segment in segments)
        {
            await _handles.ForgetAsync(segment.Name);
            await _options.Store.DeleteAsync(segment.Name, cancellationToken);
        }
    }

    /// <summary>Deletes every file of a log that nobody has open.</summary>
    public static async ValueTask DeleteFilesAsync(SegmentLogOptions options, CancellationToken cancellationToken)
    {
        foreach (StoreEntry entry in await options.Store.ListAsync(options.Folder, cancellationToken))
        {
            if (entry.Name.StartsWith(options.Prefix, StringComparison.Ordinal))
            {
                await options.Store.DeleteAsync(entry.Name, cancellationToken);
            }
        }
    }

    /// <summary>Closes the files. What was not flushed was never promised.</summary>
    public async ValueTask DisposeAsync()
    {
        _isDead = true;
        if (_writer is { } writer)
        {
            _writer = null;
            await writer.DisposeAsync();
        }

        await _mark.DisposeAsync();
        await _handles.DisposeAsync();
    }

    private async ValueTask BeginSegmentAsync(LineId line, ulong firstSequence, CancellationToken cancellationToken)
    {
        SegmentHeader header = new()
        {
            Replica = _options.Replica,
            Number = _nextNumber,
            Line = line,
            FirstSequence = firstSequence,
            CreatedAt = _options.Time.GetUtcNow(),
        };
        // A creation that failed for lack of space has left nothing that counts.
        await _options.Store.DeleteAsync(SegmentHeader.NameOf(_options.Prefix, header.Number), cancellationToken);
        _writer = await SegmentWriter.CreateAsync(_options.Store, _options.Prefix, header, _options.Segments, cancellationToken);
        _segments = _segments.Add(SegmentFile.OfLive(_handles, _writer.Name, header, _writer.Entries));
        _nextNumber++;
    }

    private async ValueTask SwitchToDiskIndexAsync(string name)
    {
        SegmentFile segment = _segments[^1];
        Invariant.Check(segment.Name == name, "the open segment is the last one");
        SegmentTrailer? trailer = await SegmentProbe.ReadTrailerAsync(_handles, segment.Name, segment.Header, CancellationToken.None);
        if (trailer is null || !await segment.TrySealAsync(trailer, CancellationToken.None))
        {
            throw segment.Damage(0, "the index that was just written does not read back");
        }
    }

    private void ThrowIfDead()
    {
        if (_isDead)
        {
            throw new StorageException(FaultKind.Closed, _options.Prefix, "closed after a fault; open the replica anew");
        }
    }
}
