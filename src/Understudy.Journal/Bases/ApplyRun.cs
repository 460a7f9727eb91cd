using System.Buffers;
using System.Collections.Immutable;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Pins;
using Understudy.Journal.Records;
using Understudy.Journal.Views;

namespace Understudy.Journal.Bases;

/// <summary>
/// Moves the base from one state to a later point, a batch of blocks at a time, in the order of docs/formats/apply-log.md.
/// The manifest says already that it is under way. Cancellation is honoured between batches.
/// </summary>
internal sealed class ApplyRun : IDisposable
{
    private readonly ReplicaEnvironment _env;
    private readonly ReplicaId _replica;
    private readonly ulong _from;
    private readonly PointState _to;
    private readonly ImmutableArray<Layer> _journal;
    private readonly IReadOnlyDictionary<DiskId, BaseDisk> _disks;
    private readonly PreImageSaver _saver;
    private readonly ContentCache _contents;
    private readonly BlockComposer _composer;
    private readonly ApplyBatch _batch;

    public ApplyRun(
        ReplicaEnvironment env, ReplicaId replica, ulong from, PointState to, Layer journal, RecordReader records,
        IReadOnlyDictionary<DiskId, BaseDisk> disks, PreImageSaver saver)
    {
        _env = env;
        _replica = replica;
        _from = from;
        _to = to;
        _journal = [journal];
        _disks = disks;
        _saver = saver;
        _contents = new ContentCache(env.Settings.ViewCacheBytes);
        _composer = new BlockComposer(records, _contents);
        _batch = new ApplyBatch(env.Settings.ApplyBatchBlocks);
    }

    public long BlocksWritten { get; private set; }

    /// <summary>The sums file could not be written: the replica has to be opened anew before anything is read.</summary>
    public bool HasSumsFault { get; private set; }

    private SafetyRules Rules => _env.Settings.Rules;

    /// <summary>Applies everything, or everything after a block that is known to be done.</summary>
    public async ValueTask RunAsync((DiskId Disk, long Block)? doneThrough, CancellationToken cancellationToken)
    {
        foreach (DiskGeometry disk in _to.Geometry.Disks)
        {
            int order = doneThrough is { } done ? disk.Disk.CompareTo(done.Disk) : 1;
            if (order < 0)
            {
                continue;
            }

            long firstBlock = order == 0 ? doneThrough!.Value.Block + 1 : 0;
            await RunDiskAsync(disk, firstBlock, cancellationToken);
        }

        await CompleteBatchAsync(cancellationToken);
    }

    /// <summary>
    /// Does a logged batch again after a fault at any moment since it was logged. The base blocks are old, new, or half of
    /// each: what the journal does not cover is the same in all three, so laying the journal over makes the new content,
    /// which the logged sum proves. Pre-images were durable before the log was, and are not touched.
    /// </summary>
    public async ValueTask RedoAsync(IReadOnlyList<LoggedBlock> logged, CancellationToken cancellationToken)
    {
        for (int start = 0; start < logged.Count; start += _batch.Blocks.Count)
        {
            _batch.Clear();
            for (int i = start; i < logged.Count && !_batch.IsFull; i++)
            {
                await ComposeAgainAsync(logged[i], cancellationToken);
            }

            await WriteBaseAsync(verify: true);
        }

        _batch.Clear();
    }

    public void Dispose()
    {
        _batch.Dispose();
        _contents.Dispose();
    }

    private async ValueTask RunDiskAsync(DiskGeometry disk, long firstBlock, CancellationToken cancellationToken)
    {
        long regionBytes = _env.Settings.RegionBytes;
        for (long start = firstBlock * BlockSize.Bytes / regionBytes * regionBytes; start < disk.SizeBytes; start += regionBytes)
        {
            ByteRange region = ByteRange.FromTo(start, Math.Min(disk.SizeBytes, start + regionBytes));
            RegionMap map = await RegionMap.ResolveAsync(_journal, disk.Disk, region, cancellationToken);
            if (!map.IsEmpty)
            {
                await RunRegionAsync(disk, map, Math.Max(firstBlock, start / BlockSize.Bytes), cancellationToken);
            }
        }
    }

    private async ValueTask RunRegionAsync(DiskGeometry disk, RegionMap map, long firstBlock, CancellationToken cancellationToken)
    {
        long endBlock = BlockSize.CountFor(map.Region.EndBytes);
        BlockSum[] sums = ArrayPool<BlockSum>.Shared.Rent((int)(endBlock - firstBlock));
        try
        {
            await _disks[disk.Disk].ReadSumsAsync(firstBlock, sums.AsMemory(0, (int)(endBlock - firstBlock)), cancellationToken);
            for (long block = firstBlock; block < endBlock; block++)
            {
                BlockCover cover = BlockComposer.Cover(map, RecordLimits.BlockRange(block), disk.SizeBytes);
                if (cover.IsTouched)
                {
                    await AddAsync(disk, map, block, cover, sums[block - firstBlock], cancellationToken);
                }

                if (_batch.IsFull)
                {
                    await CompleteBatchAsync(cancellationToken);
                }
            }
        }
        finally
        {
            ArrayPool<BlockSum>.Shared.Return(sums);
        }
    }

    /// <summary>Puts a block's new content together; blocks that stay what they are take no further part.</summary>
    private async ValueTask AddAsync(
        DiskGeometry disk, RegionMap map, long block, BlockCover cover, BlockSum oldSum, CancellationToken cancellationToken)
    {
        Memory<byte> slot = _batch.NextSlot;
        bool needsOld = !cover.IsWhole;
        if (needsOld)
        {
            await ReadOldAsync(disk.Disk, block, slot, cancellationToken);
        }
        else
        {
            slot.Span.Clear(); // The last block of a disk may be covered whole and still be shorter.
        }

        await _composer.OverlayAsync(map, RecordLimits.BlockRange(block), slot, cancellationToken);
        BlockSum newSum = BlockSum.Of(slot.Span);
        if (newSum == oldSum)
        {
            return;
        }

        await _saver.SaveAsync(disk.Disk, block, cover.NewestSequence, ReadOldAsync, cancellationToken);
        _batch.Add(new LoggedBlock(disk.Disk, block, oldSum, newSum));
    }

    private ValueTask ReadOldAsync(DiskId disk, long block, Memory<byte> buffer, CancellationToken cancellationToken) =>
        Rules.VerifyBeforeSumming
            ? _disks[disk].ReadAsync(block, buffer, cancellationToken)
            : _disks[disk].ReadRawAsync(block, buffer, cancellationToken);

    private async ValueTask CompleteBatchAsync(CancellationToken cancellationToken)
    {
        if (_batch.IsEmpty)
        {
            return;
        }

        cancellationToken.ThrowIfCancellationRequested();
        await _saver.FlushAsync();
        await ApplyLog.WriteAsync(_env.Store, _replica, _from, _to.Point.Id, _batch.Blocks);
        await WriteBaseAsync(verify: false);
        _batch.Clear();
    }

    private async ValueTask ComposeAgainAsync(LoggedBlock logged, CancellationToken cancellationToken)
    {
        DiskGeometry disk = _to.Geometry.Find(logged.Disk) ?? throw Corrupt(logged, "the apply log names a disk that the point does not have");
        ByteRange block = RecordLimits.BlockRange(logged.Block);
        ByteRange inDisk = block.Intersect(new ByteRange(0, disk.SizeBytes));
        RegionMap map = await RegionMap.ResolveAsync(_journal, disk.Disk, inDisk, cancellationToken);
        Memory<byte> slot = _batch.NextSlot;
        await _disks[logged.Disk].ReadRawAsync(logged.Block, slot, cancellationToken);
        if (!Rules.KeepFirstPreImage)
        {
            await _saver.SaveAgainAsync(logged.Disk, logged.Block, slot);
        }

        await _composer.OverlayAsync(map, block, slot, cancellationToken);
        if (BlockSum.Of(slot.Span) != logged.NewSum)
        {
            throw Corrupt(logged, "neither the old nor the new content can be made from what is there");
        }

        _batch.Add(logged);
    }

    /// <summary>Steps 3 to 5 for the blocks of the batch: base, flush, sums, flush.</summary>
    private async ValueTask WriteBaseAsync(bool verify)
    {
        DiskId[] disks = [.. _batch.Disks];
        foreach (DiskId disk in disks)
        {
            _disks[disk].OpenWindow(_batch.OfDisk(disk));
        }

        bool isSettled = false;
        try
        {
            await WriteAndFlushAsync(disks);
            if (verify)
            {
                await VerifyWrittenAsync();
            }

            await FoldSumsAsync(disks);
            isSettled = true;
            BlocksWritten += _batch.Blocks.Count;
        }
        finally
        {
            foreach (DiskId disk in disks)
            {
                _disks[disk].CloseWindow(isSettled);
                if (!isSettled)
                {
                    await _disks[disk].CloseAsync(); // Suspect: whoever needs the image next opens it anew.
                }
            }
        }
    }

    private async ValueTask WriteAndFlushAsync(DiskId[] disks)
    {
        foreach ((int first, int count) in _batch.Runs(splitZeros: true))
        {
            LoggedBlock block = _batch.Blocks[first];
            BaseDisk disk = _disks[block.Disk];
            await disk.WriteAsync(block.Block, _batch.Content(first, count), isZero: block.NewSum == BaseSums.OfZeros);
        }

        foreach (DiskId disk in disks)
        {
            await _disks[disk].FlushAsync();
        }
    }

    private async ValueTask VerifyWrittenAsync()
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BlockSize.Bytes);
        try
        {
            foreach (LoggedBlock block in _batch.Blocks)
            {
                Memory<byte> content = buffer.AsMemory(0, BlockSize.Bytes);
                await _disks[block.Disk].ReadRawAsync(block.Block, content, CancellationToken.None);
                if (BlockSum.Of(content.Span) != block.NewSum)
                {
                    throw Corrupt(block, "does not read back as it was written");
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask FoldSumsAsync(DiskId[] disks)
    {
        try
        {
            foreach ((int first, int count) in _batch.Runs(splitZeros: false))
            {
                LoggedBlock block = _batch.Blocks[first];
                BlockSum[] sums = [.. _batch.Blocks.Skip(first).Take(count).Select(b => b.NewSum)];
                await _disks[block.Disk].WriteSumsAsync(block.Block, sums);
            }

            foreach (DiskId disk in disks)
            {
                await _disks[disk].FlushSumsAsync();
            }
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            HasSumsFault = true;
            throw;
        }
    }

    private static StorageException Corrupt(LoggedBlock block, string what) => new(
        FaultKind.Corrupt, $"base of disk {block.Disk}", $"at offset {block.Block * BlockSize.Bytes}: {what}",
        "Every point that does not overwrite this block is damaged there. Resynchronise the VM.");
}
