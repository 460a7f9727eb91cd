using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal.Segments;

/// <summary>An extent of some segment, as found by asking the index.</summary>
internal readonly record struct SegmentExtent(SegmentFile Segment, IndexEntry Entry);

/// <summary>
/// One segment as readers see it. Its index is in memory while it is open (or when its footer was damaged), on disk once it
/// is sealed. Readers run beside the writer: they see whichever index there is, both say the same.
/// </summary>
internal sealed class SegmentFile
{
    private readonly ReadHandles _handles;
    private volatile EntryList? _live;
    private volatile IndexFence[]? _fences;
    private long _recordsEnd;
    private long _indexOffset;
    private ulong _validThrough = ulong.MaxValue;

    private SegmentFile(ReadHandles handles, string name, SegmentHeader header)
    {
        _handles = handles;
        Name = name;
        Header = header;
    }

    public string Name { get; }

    public SegmentHeader Header { get; }

    public ulong Number => Header.Number;

    public ulong FirstSequence => Header.FirstSequence;

    /// <summary>The last record that counts: what was dropped is still in the file, and in its index.</summary>
    public ulong LastSequence
    {
        get
        {
            ulong last = _live is { } live ? FirstSequence + (ulong)live.Count - 1 : field;
            return Math.Min(last, Volatile.Read(ref _validThrough));
        }
        private set;
    }

    /// <summary>Whether records at its end have been dropped: nothing can follow in the numbering.</summary>
    public bool IsCut => Volatile.Read(ref _validThrough) != ulong.MaxValue;

    /// <summary>The last record of a segment whose index is in memory.</summary>
    public IndexEntry LastEntry => (_live ?? throw new InvariantException("a sealed segment is not appended to")).Snapshot()[^1];

    /// <summary>Size of the file on disk; of the open one, up to its last record.</summary>
    public long FileBytes
    {
        get => _live is { Count: > 0 } live && live.Snapshot()[^1] is var last ? last.FileOffset + last.RecordBytes : field;
        private set;
    }

    public static SegmentFile OfLive(ReadHandles handles, string name, SegmentHeader header, EntryList entries) =>
        new(handles, name, header) { _live = entries };

    /// <summary>Null when the fences do not match the trailer's checksum.</summary>
    public static async ValueTask<SegmentFile?> TryOpenSealedAsync(
        ReadHandles handles, string name, SegmentHeader header, SegmentTrailer trailer, CancellationToken cancellationToken)
    {
        SegmentFile segment = new(handles, name, header);
        return await segment.TrySealAsync(trailer, cancellationToken) ? segment : null;
    }

    /// <summary>From now on the index on disk is used.</summary>
    public async ValueTask<bool> TrySealAsync(SegmentTrailer trailer, CancellationToken cancellationToken)
    {
        byte[] bytes = new byte[trailer.FencesBytes];
        await ReadExactAsync(trailer.FencesOffset, bytes, cancellationToken);
        if (Crc32C.Compute(bytes) != trailer.FencesChecksum)
        {
            return false;
        }

        IndexFence[] fences = new IndexFence[trailer.PageCount];
        for (int i = 0; i < fences.Length; i++)
        {
            fences[i] = IndexFence.Read(bytes.AsSpan(i * IndexFence.SizeBytes));
        }

        _recordsEnd = trailer.RecordsEnd;
        _indexOffset = trailer.IndexOffset;
        FileBytes = trailer.FileBytes;
        LastSequence = trailer.LastSequence;
        _fences = fences;
        _live = null; // Last: a reader that finds no entries in memory finds the fences.
        return true;
    }

    /// <summary>Everything after this sequence has been dropped.</summary>
    public void CutAfter(ulong sequence) => Volatile.Write(ref _validThrough, sequence);

    /// <summary>Adds the extents of a disk that touch the range and have a sequence in (after, through].</summary>
    public ValueTask CollectAsync(
        DiskId disk, ByteRange range, ulong after, ulong through, List<SegmentExtent> into, CancellationToken cancellationToken)
    {
        through = Math.Min(through, LastSequence);
        return through < FirstSequence || after >= LastSequence
            ? ValueTask.CompletedTask
            : CollectAsync(disk.Value, range, after, through, into, cancellationToken);
    }

    /// <summary>Adds the extents of all disks with a sequence after this one, in no particular order.</summary>
    public ValueTask CollectAllAsync(ulong after, List<SegmentExtent> into, CancellationToken cancellationToken) =>
        CollectAsync(null, new ByteRange(0, long.MaxValue), after, LastSequence, into, cancellationToken);

    /// <summary>Adds the checkpoint, geometry and definition records that count, in order.</summary>
    public ValueTask CollectControlsAsync(List<SegmentExtent> into, CancellationToken cancellationToken) =>
        CollectAsync(IndexPage.ControlGroup, default, 0, LastSequence, into, cancellationToken);

    /// <summary>
    /// Reads a record whole into the buffer and verifies it against its own checksums and against the index; what does not
    /// match throws <see cref="FaultKind.Corrupt"/> with segment and offset.
    /// </summary>
    public async ValueTask<RecordHeader> ReadRecordAsync(IndexEntry entry, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        Memory<byte> record = buffer[..entry.RecordBytes];
        await ReadExactAsync(entry.FileOffset, record, cancellationToken);
        RecordDefect defect = RecordHeader.Read(record.Span, out RecordHeader header);
        if (defect == RecordDefect.None && !(entry.Describes(header) && header.Line == Header.Line))
        {
            throw Damage(entry.FileOffset, $"holds record {header.Sequence} where the index has {entry.Sequence}");
        }

        if (defect != RecordDefect.None || !header.Matches(record.Span[RecordHeader.SizeBytes..]))
        {
            throw Damage(entry.FileOffset, $"record {entry.Sequence} does not match its checksum ({(defect == RecordDefect.None ? RecordDefect.BadPayloadChecksum : defect)})");
        }

        return header;
    }

    /// <summary>Reads every page of the index; false when one is damaged. A live index has no pages.</summary>
    public async ValueTask<bool> IsIndexWholeAsync(CancellationToken cancellationToken)
    {
        IndexFence[] fences = _fences ?? [];
        byte[] page = ArrayPool<byte>.Shared.Rent(IndexPage.SizeBytes);
        try
        {
            for (int i = 0; i < fences.Length; i++)
            {
                Memory<byte> bytes = page.AsMemory(0, IndexPage.SizeBytes);
                await ReadExactAsync(_indexOffset + ((long)i * IndexPage.SizeBytes), bytes, cancellationToken);
                if (!IndexPage.IsWhole(bytes.Span, (uint)i, fences[i]))
                {
                    return false;
                }
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(page);
        }
    }

    public StorageException Damage(long offset, string what) => new(
        FaultKind.Corrupt, Name, $"at offset {offset}: {what}",
        "The points that need this record cannot be read; points that overwrite it later can. Resynchronise the VM.");

    private static void Select(
        SegmentFile segment, ReadOnlySpan<IndexEntry> entries, ushort? group, ByteRange range, ulong after, ulong through,
        List<SegmentExtent> into)
    {
        foreach (ref readonly IndexEntry entry in entries)
        {
            bool inGroup = group == IndexPage.ControlGroup
                ? !entry.IsExtent
                : entry.IsExtent && (group is null || entry.Disk.Value == group) && entry.Range.Overlaps(range);
            if (inGroup && entry.Sequence > after && entry.Sequence <= through)
            {
                into.Add(new SegmentExtent(segment, entry));
            }
        }
    }

    private async ValueTask CollectAsync(
        ushort? group, ByteRange range, ulong after, ulong through, List<SegmentExtent> into, CancellationToken cancellationToken)
    {
        if (_live is null)
        {
            int before = into.Count;
            if (await TryCollectSealedAsync(group, range, after, through, into, cancellationToken))
            {
                return;
            }

            into.RemoveRange(before, into.Count - before);
            _live = await IndexRecordsAsync(cancellationToken);
        }

        Select(this, _live!.Snapshot(), group, range, after, through, into);
    }

    /// <summary>The index once more, from the records themselves: what to do when its pages on disk are damaged.</summary>
    private async ValueTask<EntryList> IndexRecordsAsync(CancellationToken cancellationToken)
    {
        EntryList entries = new();
        await using ReadHandles.Lease lease = await _handles.RentAsync(Name, cancellationToken);
        using SegmentScanner scanner = new(lease.File, SegmentHeader.SizeBytes, _recordsEnd);
        while (true)
        {
            ScanStep step = await scanner.NextAsync(cancellationToken);
            if (step.Result is ScanResult.End)
            {
                return entries;
            }

            if (step.Result is ScanResult.Broken)
            {
                throw Damage(step.FileOffset, $"the index is damaged, and so is a record ({step.Defect})");
            }

            entries.Add(IndexEntry.Of(step.Header, step.FileOffset));
        }
    }

    /// <summary>False when an index page is damaged.</summary>
    private async ValueTask<bool> TryCollectSealedAsync(
        ushort? group, ByteRange range, ulong after, ulong through, List<SegmentExtent> into, CancellationToken cancellationToken)
    {
        IndexFence[] fences = _fences!; // Set before the live index is given up.
        byte[]? page = null;
        IndexEntry[] entries = ArrayPool<IndexEntry>.Shared.Rent(IndexPage.MaxEntries);
        try
        {
            for (int i = 0; i < fences.Length; i++)
            {
                IndexFence fence = fences[i];
                if ((group is null || fence.Group == group) && fence.MinSequence <= through
                    && (group == IndexPage.ControlGroup || (fence.FirstOffset < range.EndBytes && fence.MaxEnd > range.OffsetBytes)))
                {
                    page ??= ArrayPool<byte>.Shared.Rent(IndexPage.SizeBytes);
                    Memory<byte> bytes = page.AsMemory(0, IndexPage.SizeBytes);
                    await ReadExactAsync(_indexOffset + ((long)i * IndexPage.SizeBytes), bytes, cancellationToken);
                    if (!IndexPage.IsWhole(bytes.Span, (uint)i, fence))
                    {
                        return false;
                    }

                    IndexPage.Read(bytes.Span, fence.Count, entries);
                    Select(this, entries.AsSpan(0, fence.Count), group, range, after, through, into);
                }
            }

            return true;
        }
        finally
        {
            ArrayPool<IndexEntry>.Shared.Return(entries);
            if (page is not null)
            {
                ArrayPool<byte>.Shared.Return(page);
            }
        }
    }

    private async ValueTask ReadExactAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await using ReadHandles.Lease lease = await _handles.RentAsync(Name, cancellationToken);
        int read = await lease.File.ReadAsync(offset, buffer, cancellationToken);
        if (read < buffer.Length)
        {
            throw Damage(offset, $"the file ends after {read} of {buffer.Length} bytes");
        }
    }
}
