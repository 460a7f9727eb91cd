using System.Buffers;
using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal.Records;

namespace Understudy.Journal.Bases;

/// <summary>
/// The base image of one disk: reads that are verified, and the writes of apply. Reads may come from anywhere at any time;
/// writes only from the one apply. After a failed flush the device is closed at once: the next use opens it anew, and apply
/// begins its batch again.
/// </summary>
internal sealed class BaseDisk : IAsyncDisposable
{
    private readonly IBaseImages _images;
    private readonly BaseSums _sums;
    private readonly SafetyRules _rules;
    private readonly AsyncGate _opening = new();
    private volatile IBlockDevice? _reader;
    private IBlockDevice? _writer;
    private volatile ApplyWindow? _window;
    private int _windowChanges;

    private BaseDisk(IBaseImages images, DiskGeometry geometry, BaseSums sums, SafetyRules rules)
    {
        _images = images;
        Geometry = geometry;
        _sums = sums;
        _rules = rules;
    }

    /// <summary>Grows when the disk does; the new size holds from the next opening on.</summary>
    public DiskGeometry Geometry { get; set; }

    public static async ValueTask<BaseDisk> OpenAsync(
        ReplicaEnvironment env, ReplicaId replica, DiskGeometry geometry, bool create, CancellationToken cancellationToken) =>
        new(env.Bases, geometry, await BaseSums.OpenAsync(env.Store, replica, geometry.Disk, create, cancellationToken), env.Settings.Rules);

    public ValueTask ReadSumsAsync(long firstBlock, Memory<BlockSum> sums, CancellationToken cancellationToken) =>
        _sums.ReadAsync(firstBlock, sums, cancellationToken);

    /// <summary>
    /// Fills the buffer, a whole number of blocks, with verified content; what is behind the image's end reads as zeros. A
    /// block that matches no sum it may have throws <see cref="FaultKind.Corrupt"/> with disk and offset.
    /// </summary>
    public async ValueTask ReadAsync(long firstBlock, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int count = buffer.Length / BlockSize.Bytes;
        BlockSum[] sums = ArrayPool<BlockSum>.Shared.Rent(count);
        try
        {
            int good = 0;
            while (good < count)
            {
                int changes = Volatile.Read(ref _windowChanges);
                ApplyWindow? window = _window;
                await _sums.ReadAsync(firstBlock + good, sums.AsMemory(good, count - good), cancellationToken);
                await ReadRawAsync(firstBlock + good, buffer[(good * BlockSize.Bytes)..], cancellationToken);
                good = CountGood(firstBlock, buffer.Span, sums, good, count, window);
                if (good < count)
                {
                    await DoubtAsync(firstBlock + good, window, changes, cancellationToken);
                }
            }
        }
        finally
        {
            ArrayPool<BlockSum>.Shared.Return(sums);
        }
    }

    /// <summary>What the image holds, unverified: for redo, which verifies what it makes of it, and for nothing else.</summary>
    public async ValueTask ReadRawAsync(long firstBlock, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            IBlockDevice device = await ReaderAsync(cancellationToken);
            long offset = firstBlock * BlockSize.Bytes;
            int there = (int)Math.Clamp(device.SizeBytes - offset, 0, buffer.Length);
            buffer[there..].Span.Clear();
            try
            {
                if (there > 0)
                {
                    await device.ReadAsync(offset, buffer[..there], cancellationToken);
                }

                return;
            }
            catch (StorageException) when (!ReferenceEquals(device, _reader))
            {
                // Closed under us, because the image was grown or reopened: ask the new one.
            }
            catch (StorageException)
            {
                await DropReaderAsync(device);
                throw;
            }
        }
    }

    /// <summary>From here on readers accept old and new content of these blocks.</summary>
    public void OpenWindow(LoggedBlock[] blocks)
    {
        _window = new ApplyWindow(blocks);
        Interlocked.Increment(ref _windowChanges);
    }

    /// <summary>The blocks are what their sums in the file say, or nobody knows (after a fault) until apply is redone.</summary>
    public void CloseWindow(bool isSettled)
    {
        ApplyWindow? window = _window;
        if (isSettled)
        {
            _window = null;
            Interlocked.Increment(ref _windowChanges);
        }

        window?.Close();
    }

    /// <summary>Opens the image for writing, creating or growing it; readers see the grown one.</summary>
    public async ValueTask OpenForWritingAsync(CancellationToken cancellationToken)
    {
        if (_writer is null)
        {
            _writer = await _images.OpenAsync(Geometry, readOnly: false, cancellationToken);
            if (_writer.SizeBytes < Geometry.SizeBytes)
            {
                throw new StorageException(
                    FaultKind.Full, Subject, $"the image has {_writer.SizeBytes} bytes, the disk {Geometry.SizeBytes}", "Grow the image.");
            }

            if (_reader is { } reader && reader.SizeBytes < Geometry.SizeBytes)
            {
                await DropReaderAsync(reader);
            }
        }
    }

    /// <summary>Writes neighbouring blocks; zeros as zeros, so that holes stay holes.</summary>
    public async ValueTask WriteAsync(long block, ReadOnlyMemory<byte> content, bool isZero)
    {
        IBlockDevice writer = _writer ?? throw new InvariantException("the base is opened before it is written");
        long offset = block * BlockSize.Bytes;
        int there = (int)Math.Min(content.Length, writer.SizeBytes - offset);
        if (isZero)
        {
            await writer.ZeroAsync(new ByteRange(offset, there), CancellationToken.None);
        }
        else
        {
            await writer.WriteAsync(offset, content[..there], CancellationToken.None);
        }
    }

    /// <summary>Makes a range read as zeros, in whole blocks of the disk; what does so already is left as the hole it is.</summary>
    public async ValueTask ClearAsync(ByteRange range)
    {
        IBlockDevice writer = _writer ?? throw new InvariantException("the base is opened before it is cleared");
        if (writer is not IExtentSource extents)
        {
            await writer.ZeroAsync(range, CancellationToken.None);
            return;
        }

        foreach (BlockExtent extent in await extents.GetExtentsAsync(range, CancellationToken.None))
        {
            if (extent.Kind == ExtentKind.Data)
            {
                await writer.ZeroAsync(extent.Range, CancellationToken.None);
            }
        }
    }

    /// <summary>The sums of a range of zeros.</summary>
    public ValueTask ClearSumsAsync(ByteRange range) => _sums.ClearAsync(range.OffsetBytes / BlockSize.Bytes, BlockSize.CountFor(range.LengthBytes));

    public ValueTask WriteSumsAsync(long firstBlock, ReadOnlyMemory<BlockSum> sums) => _sums.WriteAsync(firstBlock, sums);

    public ValueTask FlushSumsAsync() => _sums.FlushAsync();

    public async ValueTask FlushAsync()
    {
        IBlockDevice writer = _writer ?? throw new InvariantException("the base is opened before it is flushed");
        await writer.FlushAsync(CancellationToken.None);
    }

    public async ValueTask CloseWriterAsync()
    {
        if (_writer is { } writer)
        {
            _writer = null;
            await writer.DisposeAsync();
        }
    }

    /// <summary>Forgets both handles, so that the next use opens the image anew.</summary>
    public async ValueTask CloseAsync()
    {
        await CloseWriterAsync();
        if (_reader is { } reader)
        {
            await DropReaderAsync(reader);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        await _sums.DisposeAsync();
    }

    private string Subject => $"base of disk {Geometry.Disk} ({Geometry.Target})";

    private int CountGood(long firstBlock, ReadOnlySpan<byte> content, ReadOnlySpan<BlockSum> sums, int good, int count, ApplyWindow? window)
    {
        while (good < count)
        {
            BlockSum sum = BlockSum.Of(content.Slice(good * BlockSize.Bytes, BlockSize.Bytes));
            bool matches = sum == sums[good] || (window?.Accepts(firstBlock + good, sum) ?? false);
            if (!matches && _rules.VerifyWhatIsRead)
            {
                break;
            }

            good++;
        }

        return good;
    }

    /// <summary>Returns when reading again may help; throws when it cannot.</summary>
    private async ValueTask DoubtAsync(long block, ApplyWindow? window, int changes, CancellationToken cancellationToken)
    {
        if (changes != Volatile.Read(ref _windowChanges))
        {
            return; // Apply moved on between our reads.
        }

        if (window is null || !window.Holds(block))
        {
            throw new StorageException(
                FaultKind.Corrupt, Subject, $"at offset {block * BlockSize.Bytes}: the block does not match its sum",
                "Every point that does not overwrite this block is damaged there. Resynchronise the VM.");
        }

        if (window.Closed.IsCompleted)
        {
            throw new StorageException(
                FaultKind.Io, Subject, $"at offset {block * BlockSize.Bytes}: apply stopped in the middle of this block",
                "Readable again as soon as apply goes on.");
        }

        await window.Closed.WaitAsync(cancellationToken);
    }

    private async ValueTask<IBlockDevice> ReaderAsync(CancellationToken cancellationToken)
    {
        if (_reader is { } open)
        {
            return open;
        }

        using AsyncGate.Pass pass = await _opening.EnterAsync(cancellationToken);
        return _reader ??= await _images.OpenAsync(Geometry, readOnly: true, cancellationToken);
    }

    private async ValueTask DropReaderAsync(IBlockDevice device)
    {
        using AsyncGate.Pass pass = await _opening.EnterAsync(CancellationToken.None);
        if (ReferenceEquals(_reader, device))
        {
            _reader = null;
            await device.DisposeAsync();
        }
    }
}
