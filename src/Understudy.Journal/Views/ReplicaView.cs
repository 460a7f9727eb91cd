using System.Buffers;
using Understudy.Blocks;
using Understudy.Journal.Bases;
using Understudy.Journal.Pins;
using Understudy.Journal.Records;
using Understudy.Journal.Views;

namespace Understudy.Journal;

/// <summary>
/// One disk of one recovery point, read-only: journal over pre-images over base, everything verified. Memory is bounded by
/// the settings whatever the disk's size. Reads may overlap each other, appends, and an apply that moves past the point.
/// Dispose it: what it holds (segments, pre-images) is given back then.
/// </summary>
public sealed class ReplicaView : IBlockDevice, IExtentSource
{
    /// <summary>Base blocks that are read with one request.</summary>
    private const int BlocksPerRead = 16;

    private readonly Pin _pin;
    private readonly DiskGeometry _disk;
    private readonly BaseDisk? _base;
    private readonly long _baseBytes;
    private readonly RecordReader _records;
    private readonly long _regionBytes;
    private readonly RegionCache _regions;
    private readonly ContentCache _contents;
    private readonly Func<Pin, ValueTask> _release;
    private bool _closed;

    internal ReplicaView(Pin pin, DiskGeometry disk, BaseDisk? @base, RecordReader records, ReplicaSettings settings, Func<Pin, ValueTask> release)
    {
        _pin = pin;
        _disk = disk;
        _base = @base;
        _baseBytes = @base is null ? 0 : Math.Min(disk.SizeBytes, pin.BaseGeometry?.Find(disk.Disk)?.SizeBytes ?? 0);
        _records = records;
        _regionBytes = settings.RegionBytes;
        _regions = new RegionCache(settings.ViewExtents);
        _contents = new ContentCache(settings.ViewCacheBytes);
        _release = release;
    }

    public RecoveryPoint Point => _pin.Point.Point;

    public DiskGeometry Disk => _disk;

    public long SizeBytes => _disk.SizeBytes;

    public bool IsReadOnly => true;

    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
        ThrowIfClosed();
        while (!buffer.IsEmpty)
        {
            long regionEnd = Math.Min(SizeBytes, ((offsetBytes / _regionBytes) + 1) * _regionBytes);
            int length = (int)Math.Min(buffer.Length, regionEnd - offsetBytes);
            await ReadInRegionAsync(offsetBytes, buffer[..length], cancellationToken);
            offsetBytes += length;
            buffer = buffer[length..];
        }
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => throw Denied();

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken) => throw Denied();

    /// <summary>Nothing to flush.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        ThrowIfClosed();
        while (true)
        {
            int version = _pin.Version;
            try
            {
                IReadOnlyList<BlockExtent> extents = await CollectExtentsAsync(range, cancellationToken);
                if (_pin.Version == version)
                {
                    return extents;
                }
            }
            catch (StorageException) when (_pin.Version != version)
            {
                // As in ReadInRegionAsync.
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            _contents.Dispose();
            await _release(_pin);
        }
    }

    private async ValueTask<IReadOnlyList<BlockExtent>> CollectExtentsAsync(ByteRange range, CancellationToken cancellationToken)
    {
        ExtentBuilder extents = new();
        long at = range.OffsetBytes;
        while (at < range.EndBytes)
        {
            (RegionMap map, _) = await FindRegionAsync(at, cancellationToken);
            long end = Math.Min(range.EndBytes, map.Region.EndBytes);
            for (int i = map.FirstEndingAfter(at); i < map.Count && map.Slices[i].Range.OffsetBytes < end; i++)
            {
                Slice slice = map.Slices[i];
                await AddBaseExtentsAsync(extents, at, slice.Range.OffsetBytes, cancellationToken);
                long from = Math.Max(at, slice.Range.OffsetBytes);
                at = Math.Min(end, slice.Range.EndBytes);
                extents.Add(from, at, slice.Source.Entry.Kind == RecordKind.Zero ? ExtentKind.Zero : ExtentKind.Data);
            }

            await AddBaseExtentsAsync(extents, at, end, cancellationToken);
            at = end;
        }

        return extents.ToList(range);
    }

    private async ValueTask ReadInRegionAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            int begun = _pin.Version;
            try
            {
                (RegionMap map, int version) = await FindRegionAsync(offset, cancellationToken);
                bool readBase = await ReadPiecesAsync(map, version, offset, buffer, cancellationToken);
                if (!readBase || _pin.Version == version)
                {
                    return;
                }

                // Blocks were saved for us meanwhile: what we read of the base may be newer than our point.
            }
            catch (StorageException) when (_pin.Version != begun)
            {
                // The journal was cut, and the segment we were reading is gone; what we need of it was saved before.
            }
        }
    }

    /// <summary>True when some of it came from the base.</summary>
    private async ValueTask<bool> ReadPiecesAsync(
        RegionMap map, int version, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        bool readBase = false;
        long at = offset;
        long end = offset + buffer.Length;
        for (int i = map.FirstEndingAfter(at); at < end; i++)
        {
            long gapEnd = i < map.Count ? Math.Min(end, map.Slices[i].Range.OffsetBytes) : end;
            if (gapEnd > at)
            {
                await ReadBaseAsync(version, at, buffer.Slice((int)(at - offset), (int)(gapEnd - at)), cancellationToken);
                readBase = true;
                at = gapEnd;
            }

            if (at < end)
            {
                Slice slice = map.Slices[i];
                int length = (int)(Math.Min(end, slice.Range.EndBytes) - at);
                await _records.ReadPartAsync(slice.Source, at, buffer.Slice((int)(at - offset), length), _contents, cancellationToken);
                at += length;
            }
        }

        return readBase;
    }

    private async ValueTask ReadBaseAsync(int version, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int there = (int)Math.Clamp(_baseBytes - offset, 0, buffer.Length);
        buffer[there..].Span.Clear(); // The base had no such place, and nothing was written there since.
        buffer = buffer[..there];
        while (!buffer.IsEmpty)
        {
            long block = offset / BlockSize.Bytes;
            int within = (int)(offset % BlockSize.Bytes);
            int length = Math.Min(buffer.Length, BlockSize.Bytes - within);
            int wholeBlocks = within == 0 ? Math.Min(BlocksPerRead, buffer.Length / BlockSize.Bytes) : 0;
            if (wholeBlocks > 0)
            {
                length = wholeBlocks * BlockSize.Bytes;
                await _base!.ReadAsync(block, buffer[..length], cancellationToken); // There is a base where it has bytes.
            }
            else if (!_contents.TryCopy(new ContentCache.Key(_base!, block, version), within, buffer.Span[..length]))
            {
                await ReadPartOfBlockAsync(version, block, within, buffer[..length], cancellationToken);
            }

            offset += length;
            buffer = buffer[length..];
        }
    }

    private async ValueTask ReadPartOfBlockAsync(int version, long block, int within, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        byte[] whole = ArrayPool<byte>.Shared.Rent(BlockSize.Bytes);
        try
        {
            Memory<byte> content = whole.AsMemory(0, BlockSize.Bytes);
            await _base!.ReadAsync(block, content, cancellationToken);
            content.Span.Slice(within, buffer.Length).CopyTo(buffer.Span);
            if (_pin.Version == version)
            {
                _contents.Add(new ContentCache.Key(_base, block, version), content.Span);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(whole);
        }
    }

    /// <summary>The map of the region around an offset, and the version of the pin it is good for.</summary>
    private async ValueTask<(RegionMap Map, int Version)> FindRegionAsync(long offset, CancellationToken cancellationToken)
    {
        long index = offset / _regionBytes;
        while (true)
        {
            int version = _pin.Version; // Before the layers: what is added later shows as a later version.
            if (_regions.Find(index, version) is { } known)
            {
                return (known, version);
            }

            ByteRange region = ByteRange.FromTo(index * _regionBytes, Math.Min(SizeBytes, (index + 1) * _regionBytes));
            RegionMap map = await RegionMap.ResolveAsync(_pin.Layers, _disk.Disk, region, cancellationToken);
            if (_pin.Version == version)
            {
                _regions.Add(index, version, map);
                return (map, version);
            }

            // The journal was cut meanwhile: half of its records may be missing here, above what was saved of them.
        }
    }

    private async ValueTask AddBaseExtentsAsync(ExtentBuilder extents, long from, long to, CancellationToken cancellationToken)
    {
        BlockSum[] sums = new BlockSum[256];
        long at = from;
        long inBase = Math.Min(to, _baseBytes);
        while (at < inBase)
        {
            long first = at / BlockSize.Bytes;
            int count = (int)Math.Min(sums.Length, BlockSize.CountFor(inBase) - first);
            await _base!.ReadSumsAsync(first, sums.AsMemory(0, count), cancellationToken);
            for (int i = 0; i < count && at < inBase; i++)
            {
                long end = Math.Min(inBase, (first + i + 1) * BlockSize.Bytes);
                extents.Add(at, end, sums[i] == BaseSums.OfZeros ? ExtentKind.Zero : ExtentKind.Data);
                at = end;
            }
        }

        if (at < to)
        {
            extents.Add(at, to, ExtentKind.Hole);
        }
    }

    private void ThrowIfClosed()
    {
        if (_closed)
        {
            throw new StorageException(FaultKind.Closed, $"view of {Point.Id}", "it is closed");
        }
    }

    private StorageException Denied() => new(FaultKind.Denied, $"view of {Point.Id}", "a recovery point is never written; put an overlay over the view");
}
