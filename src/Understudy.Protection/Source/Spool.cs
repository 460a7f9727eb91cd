using Understudy.Blocks;
using Understudy.Blocks.Storage;
using Understudy.Journal.Records;
using Understudy.Journal.Segments;

namespace Understudy.Protection.Source;

/// <summary>
/// The cycle that waits to be sent, as journal segments in the folder <c>spool</c>: the very records that go over the
/// wire. One cycle at a time; a new one is written only when the one before is acknowledged or given up. Segment numbers
/// are never used twice, so a state file can never point at another cycle's segments.
/// </summary>
internal sealed class Spool(IFileStore store, SourceSpec spec, TimeProvider time)
{
    internal const string Folder = "spool";
    internal const string Prefix = "spool/";

    private ulong _nextNumber;

    /// <summary>Deletes every segment the state does not name. To be called at start, and after a cycle that failed.</summary>
    public async ValueTask KeepOnlyAsync(PendingCycle? pending, CancellationToken cancellationToken)
    {
        await store.CreateFolderAsync(Folder, cancellationToken);
        _nextNumber = Math.Max(_nextNumber, (pending?.LastSegment ?? 0) + 1);
        foreach (StoreEntry entry in await store.ListAsync(Folder, cancellationToken))
        {
            bool isSegment = SegmentHeader.TryParseName(Prefix, entry.Name, out ulong number);
            _nextNumber = isSegment ? Math.Max(_nextNumber, number + 1) : _nextNumber;
            if (!isSegment || pending is null || number < pending.FirstSegment || number > pending.LastSegment)
            {
                await store.DeleteAsync(entry.Name, cancellationToken);
            }
        }
    }

    /// <summary>Deletes all, durably: a power cut must not bring back what nobody will look for any more.</summary>
    public async ValueTask ClearAsync(CancellationToken cancellationToken)
    {
        await KeepOnlyAsync(null, cancellationToken);
        await store.FlushFolderAsync(Folder, cancellationToken);
    }

    public SpoolWriter Begin(ulong firstSequence) => new(store, spec, time, firstSequence, _nextNumber, number => _nextNumber = number + 1);

    /// <summary>Whether the files of the cycle are there and begin as they should; what is inside is verified while it is sent.</summary>
    public async ValueTask<bool> LooksWholeAsync(PendingCycle cycle, CancellationToken cancellationToken)
    {
        for (ulong number = cycle.FirstSegment; number <= cycle.LastSegment; number++)
        {
            if (await OpenAsync(number, cancellationToken) is not { } segment)
            {
                return false;
            }

            await segment.File.DisposeAsync();
        }

        return true;
    }

    /// <summary>
    /// Gives each record of the cycle from <paramref name="fromSequence"/> on to <paramref name="send"/>, verified. False
    /// when the spool does not hold the cycle to its end: then it can only be given up.
    /// </summary>
    public async ValueTask<bool> TryReadAsync(
        PendingCycle cycle, ulong fromSequence, Func<ulong, ReadOnlyMemory<byte>, ValueTask> send, CancellationToken cancellationToken)
    {
        ulong expected = cycle.FirstSequence;
        for (ulong number = cycle.FirstSegment; number <= cycle.LastSegment; number++)
        {
            if (await OpenAsync(number, cancellationToken) is not { } segment)
            {
                return false;
            }

            await using IStoreFile file = segment.File;
            if (segment.Header.FirstSequence != expected)
            {
                return false;
            }

            using SegmentScanner scanner = new(file, SegmentHeader.SizeBytes, file.LengthBytes);
            ScanStep step = await scanner.NextAsync(cancellationToken);
            for (; step.Result == ScanResult.Record && expected <= cycle.LastSequence; step = await scanner.NextAsync(cancellationToken))
            {
                if (step.Header.Sequence != expected || step.Header.Line != spec.Line)
                {
                    return false;
                }

                if (expected >= fromSequence)
                {
                    await send(expected, step.Record);
                }

                expected++;
            }

            if (step.Result != ScanResult.End && expected <= cycle.LastSequence)
            {
                return false;
            }
        }

        return expected == cycle.LastSequence + 1;
    }

    /// <summary>Null when the segment is missing or not the one it should be.</summary>
    private async ValueTask<(IStoreFile File, SegmentHeader Header)?> OpenAsync(ulong number, CancellationToken cancellationToken)
    {
        IStoreFile file;
        try
        {
            file = await store.OpenAsync(SegmentHeader.NameOf(Prefix, number), FileOpen.Read, cancellationToken);
        }
        catch (StorageException missing) when (missing.Kind == FaultKind.Missing)
        {
            return null;
        }

        byte[] page = new byte[SegmentHeader.SizeBytes];
        int read = await file.ReadAsync(0, page, cancellationToken);
        if (read == page.Length
            && SegmentHeader.Read(page, out SegmentHeader? header) == SegmentDefect.None
            && header is not null
            && header.Replica == spec.Replica && header.Line == spec.Line && header.Number == number)
        {
            return (file, header);
        }

        await file.DisposeAsync();
        return null;
    }
}

/// <summary>Writes one cycle into the spool. Nothing of it counts before <see cref="FinishAsync"/> has returned.</summary>
internal sealed class SpoolWriter(
    IFileStore store, SourceSpec spec, TimeProvider time, ulong firstSequence, ulong firstNumber, Action<ulong> numberTaken) : IAsyncDisposable
{
    private SegmentWriter? _segment;
    private ulong _nextNumber = firstNumber;

    public ulong FirstSequence { get; } = firstSequence;

    public ulong NextSequence { get; private set; } = firstSequence;

    public ulong FirstSegment { get; } = firstNumber;

    public ulong LastSegment => _nextNumber - 1;

    public long Bytes { get; private set; }

    /// <summary>Appends a whole record that has <see cref="NextSequence"/>; its bytes are copied.</summary>
    public async ValueTask AppendAsync(ReadOnlyMemory<byte> record, CancellationToken cancellationToken)
    {
        Invariant.Check(
            RecordHeader.Read(record.Span, out RecordHeader header) == RecordDefect.None && header.Sequence == NextSequence,
            "a record for the spool is not the next one");
        if (_segment is null or { IsFull: true })
        {
            await FinishAsync(cancellationToken);
            await CloseAsync();
            numberTaken(_nextNumber);
            SegmentHeader segment = new()
            {
                Replica = spec.Replica,
                Number = _nextNumber++,
                Line = spec.Line,
                FirstSequence = NextSequence,
                CreatedAt = time.GetUtcNow(),
            };
            _segment = await SegmentWriter.CreateAsync(store, Spool.Prefix, segment, SegmentSettings.Default, cancellationToken);
        }

        await _segment.AppendAsync(header, record, cancellationToken);
        NextSequence++;
        Bytes += record.Length;
    }

    /// <summary>Everything appended is durable when this returns.</summary>
    public ValueTask FinishAsync(CancellationToken cancellationToken) => _segment?.FlushAsync(cancellationToken) ?? ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => CloseAsync();

    private async ValueTask CloseAsync()
    {
        if (_segment is { } segment)
        {
            _segment = null;
            await segment.DisposeAsync();
        }
    }
}
