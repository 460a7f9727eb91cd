using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;

namespace Understudy.Journal.Segments;

/// <summary>
/// Appends records to one segment file. One caller at a time. Records are gathered and written in batches; nothing is
/// durable before <see cref="FlushAsync"/> has returned. Failure policy: when the store is full the batch is kept and the
/// same write may be tried again later, at the same place; after any other failed write, and after any failed flush, the
/// writer is dead and every later call throws (the file is then recovered by opening it anew).
/// </summary>
public sealed class SegmentWriter : IAsyncDisposable
{
    private readonly IStoreFile _file;
    private readonly SegmentSettings _settings;
    private readonly EntryList _entries;
    private byte[] _batch;
    private int _batchBytes;
    private long _writtenBytes;
    private StorageException? _death;

    private SegmentWriter(IStoreFile file, SegmentHeader header, SegmentSettings settings, EntryList entries, long writtenBytes)
    {
        _file = file;
        Header = header;
        _settings = settings;
        _entries = entries;
        _writtenBytes = writtenBytes;
        FlushedBytes = writtenBytes;
        _batch = ArrayPool<byte>.Shared.Rent(settings.BatchBytes);
    }

    public SegmentHeader Header { get; }

    public string Name => _file.Name;

    /// <summary>The sequence of the last record appended; one less than the first when there is none.</summary>
    public ulong LastSequence => Header.FirstSequence + (ulong)_entries.Count - 1;

    public int RecordCount => _entries.Count;

    /// <summary>Where the next record goes: written and gathered bytes together.</summary>
    public long EndBytes => _writtenBytes + _batchBytes;

    /// <summary>How far the file is durable.</summary>
    public long FlushedBytes { get; private set; }

    public bool IsSealed { get; private set; }

    /// <summary>Whether the segment should be sealed before the next record.</summary>
    public bool IsFull => EndBytes >= _settings.TargetBytes || _entries.Count >= _settings.MaxRecords;

    /// <summary>All records so far, in order.</summary>
    internal EntryList Entries => _entries;

    /// <summary>Creates the file with its header, durably, name and all. Throws <see cref="FaultKind.Exists"/> when it is there.</summary>
    public static async ValueTask<SegmentWriter> CreateAsync(
        IFileStore store, string prefix, SegmentHeader header, SegmentSettings settings, CancellationToken cancellationToken)
    {
        settings.Validate();
        IStoreFile file = await store.OpenAsync(SegmentHeader.NameOf(prefix, header.Number), FileOpen.New, cancellationToken);
        try
        {
            byte[] page = new byte[SegmentHeader.SizeBytes];
            header.Write(page);
            await file.WriteAsync(0, page, cancellationToken);
            await file.FlushAsync(cancellationToken);
            await store.FlushFolderAsync(FolderOf(prefix), cancellationToken);
            return new SegmentWriter(file, header, settings, new EntryList(), SegmentHeader.SizeBytes);
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Goes on with an unsealed segment whose records up to <paramref name="endBytes"/> have been scanned and made durable,
    /// and whose file ends there. Takes the file over.
    /// </summary>
    internal static SegmentWriter Resume(
        IStoreFile file, SegmentHeader header, SegmentSettings settings, EntryList entries, long endBytes)
    {
        settings.Validate();
        Invariant.Check(file.LengthBytes == endBytes, "a resumed segment ends with its last whole record");
        return new SegmentWriter(file, header, settings, entries, endBytes);
    }

    /// <summary>
    /// Appends one whole record that the caller has verified; its bytes are copied before this returns. Cancellation is
    /// honoured before anything has changed.
    /// </summary>
    public async ValueTask AppendAsync(RecordHeader header, ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        ThrowIfDead();
        cancellationToken.ThrowIfCancellationRequested();
        Invariant.Check(record.Length == header.RecordBytes, "a record is appended whole");
        Invariant.Check(header.Sequence == LastSequence + 1, "records of a segment follow each other");
        Invariant.Check(header.Line == Header.Line, "a segment holds records of one line");
        if (_batchBytes + record.Length > _batch.Length)
        {
            await WriteBatchAsync();
        }

        long at = EndBytes;
        if (record.Length > _batch.Length)
        {
            await WriteAsync(_writtenBytes, record);
            _writtenBytes += record.Length;
        }
        else
        {
            record.CopyTo(_batch.AsMemory(_batchBytes));
            _batchBytes += record.Length;
        }

        _entries.Add(IndexEntry.Of(header, at));
    }

    /// <summary>Writes what is gathered, so that it can be read from the file; durable only after a flush.</summary>
    public async ValueTask WriteBatchAsync()
    {
        ThrowIfDead();
        if (_batchBytes > 0)
        {
            await WriteAsync(_writtenBytes, _batch.AsMemory(0, _batchBytes));
            _writtenBytes += _batchBytes;
            _batchBytes = 0;
        }
    }

    /// <summary>Makes every record appended so far durable. Cancellation is honoured only before it begins.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await WriteBatchAsync();
        if (FlushedBytes < _writtenBytes)
        {
            await FlushFileAsync();
            FlushedBytes = _writtenBytes;
        }
    }

    /// <summary>Adds index and trailer and makes the whole file durable. Nothing can be appended afterwards.</summary>
    public async ValueTask SealAsync(CancellationToken cancellationToken)
    {
        await FlushAsync(cancellationToken);
        byte[] footer = SegmentIndexBuilder.Build(Header, _entries.Snapshot(), _writtenBytes, out int length);
        try
        {
            await WriteAsync(_writtenBytes, footer.AsMemory(0, length));
            if (_file.LengthBytes > _writtenBytes + length)
            {
                // An earlier attempt, without space for all of it, left more behind; the trailer must be the end.
                await _file.SetLengthAsync(_writtenBytes + length, CancellationToken.None);
            }

            await FlushFileAsync();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(footer);
        }

        IsSealed = true;
        _death = new StorageException(FaultKind.Closed, Name, "the segment is sealed");
    }

    /// <summary>Closes the file without flushing: what was not flushed was never promised.</summary>
    public async ValueTask DisposeAsync()
    {
        _death ??= new StorageException(FaultKind.Closed, Name, "the segment is closed");
        byte[] batch = _batch;
        _batch = [];
        if (batch.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(batch);
        }

        await _file.DisposeAsync();
    }

    internal static string FolderOf(string prefix) => prefix[..Math.Max(0, prefix.LastIndexOf('/'))];

    private async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> data)
    {
        try
        {
            // Not cancelled half way: a half-written batch would have to be told from a torn one.
            await _file.WriteAsync(offset, data, CancellationToken.None);
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            _death = e;
            throw;
        }
    }

    private async ValueTask FlushFileAsync()
    {
        try
        {
            await _file.FlushAsync(CancellationToken.None);
        }
        catch (StorageException e)
        {
            _death = e;
            throw;
        }
    }

    private void ThrowIfDead()
    {
        if (_death is { } death)
        {
            throw new StorageException(death.Kind, Name, $"no longer written to since: {death.Message}", death.Remedy, death);
        }
    }
}
