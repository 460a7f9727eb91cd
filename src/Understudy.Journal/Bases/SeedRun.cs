using System.Buffers;
using Understudy.Blocks;
using Understudy.Journal.Records;

namespace Understudy.Journal.Bases;

/// <summary>
/// Copies the seed of one disk into its base, stretch by stretch, and sums what it writes. Nothing reads this base yet, so
/// its order is free: a stretch is written, image and sums are flushed, then it is remembered as reached. What an earlier
/// try left behind there is overwritten, zeros too. One caller.
/// </summary>
/// <param name="throwIfStopped">Asked before each stretch: the replica may have to be opened anew, and waits for this.</param>
internal sealed class SeedRun(BaseDisk disk, DiskGeometry geometry, ISeed seed, Action throwIfStopped) : IAsyncDisposable
{
    /// <summary>Flushed and remembered at a time: what is read again after a crash, seconds of any disk.</summary>
    private const long StretchBytes = 256L * 1024 * 1024;

    /// <summary>One read and one write; a whole number of blocks.</summary>
    private const int PieceBytes = 1024 * 1024;

    /// <summary>Reads under way: four of a megabyte keep a disk busy while one is summed and written.</summary>
    private const int Depth = 4;

    private readonly BlockSum[] _sums = new BlockSum[PieceBytes / BlockSize.Bytes];
    private IBlockDevice? _content;

    public long BytesRead { get; private set; }

    /// <summary>Damaged in the seed, and begun as zeros: the source sends it.</summary>
    public long DamagedBytes { get; private set; }

    /// <summary>As in <see cref="ApplyRun"/>.</summary>
    public bool HasSumsFault { get; private set; }

    public async ValueTask RunAsync(CancellationToken cancellationToken)
    {
        long at = seed.ReachedOf(geometry);
        if (at >= geometry.SizeBytes)
        {
            return;
        }

        long told = 0;
        _content = await seed.OpenAsync(geometry, cancellationToken);
        while (at < geometry.SizeBytes)
        {
            throwIfStopped();
            long endBytes = _content is null ? geometry.SizeBytes : Math.Min(geometry.SizeBytes, at + StretchBytes);
            ByteRange stretch = ByteRange.FromTo(at, endBytes);
            await CopyAsync(stretch, cancellationToken);
            await disk.FlushAsync();
            await SumsAsync(disk.FlushSumsAsync);
            await seed.ReachedAsync(geometry, stretch.EndBytes, DamagedBytes - told);
            told = DamagedBytes;
            at = stretch.EndBytes;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_content is { } open)
        {
            _content = null;
            await open.DisposeAsync();
        }
    }

    private async ValueTask CopyAsync(ByteRange stretch, CancellationToken cancellationToken)
    {
        Queue<Piece> ahead = new();
        long cleared = stretch.OffsetBytes;
        try
        {
            foreach (ByteRange part in await FindDataAsync(stretch, cancellationToken))
            {
                await ClearAsync(ByteRange.FromTo(cleared, part.OffsetBytes), cancellationToken);
                cleared = part.EndBytes;
                for (long at = part.OffsetBytes; at < part.EndBytes; at += PieceBytes)
                {
                    if (ahead.Count == Depth)
                    {
                        await WriteAsync(ahead.Peek(), cancellationToken);
                        ahead.Dequeue().Return();
                    }

                    ahead.Enqueue(Read(ByteRange.FromTo(at, Math.Min(part.EndBytes, at + PieceBytes)), cancellationToken));
                }
            }

            while (ahead.Count > 0)
            {
                await WriteAsync(ahead.Peek(), cancellationToken);
                ahead.Dequeue().Return();
            }

            await ClearAsync(ByteRange.FromTo(cleared, stretch.EndBytes), cancellationToken);
        }
        finally
        {
            // The buffers and the device must not go while reads run.
            while (ahead.TryDequeue(out Piece piece))
            {
                await piece.Reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
                piece.Return();
            }
        }
    }

    /// <summary>What the seed holds of a stretch, in whole blocks.</summary>
    private async ValueTask<ExtentSet> FindDataAsync(ByteRange stretch, CancellationToken cancellationToken)
    {
        ByteRange there = stretch.Intersect(new ByteRange(0, _content?.SizeBytes ?? 0));
        if (there.IsEmpty)
        {
            return [];
        }

        ExtentSet data = [];
        if (_content is IExtentSource extents)
        {
            foreach (BlockExtent extent in await SeedAsync(there.OffsetBytes, () => extents.GetExtentsAsync(there, cancellationToken)))
            {
                if (extent.Kind == ExtentKind.Data)
                {
                    data.Add(extent.Range);
                }
            }
        }
        else
        {
            data.Add(there);
        }

        return data.AlignedTo(BlockSize.Bytes, stretch.EndBytes);
    }

    private Piece Read(ByteRange part, CancellationToken cancellationToken)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        return new Piece(part, buffer, FillAsync(part, buffer, cancellationToken));
    }

    /// <summary>In whole blocks: what is behind the seed's end, or the disk's, counts as zeros.</summary>
    private async Task FillAsync(ByteRange part, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int there = (int)Math.Clamp(_content!.SizeBytes - part.OffsetBytes, 0, part.LengthBytes); // Only where it has data.
        await _content.ReadAsync(part.OffsetBytes, buffer[..there], cancellationToken);
        buffer[there..].Span.Clear();
    }

    private async ValueTask WriteAsync(Piece piece, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        int blocks = (int)BlockSize.CountFor(piece.Part.LengthBytes);
        await SettleAsync(piece, cancellationToken);
        for (int i = 0; i < blocks; i++)
        {
            _sums[i] = BlockSum.Of(piece.Block(i).Span);
        }

        for (int first = 0, next; first < blocks; first = next)
        {
            bool isZero = _sums[first] == BaseSums.OfZeros;
            next = first + 1;
            while (next < blocks && (_sums[next] == BaseSums.OfZeros) == isZero)
            {
                next++;
            }

            long block = (piece.Part.OffsetBytes / BlockSize.Bytes) + first;
            if (isZero)
            {
                await ClearAsync(ByteRange.FromTo(block * BlockSize.Bytes, Math.Min(piece.Part.EndBytes, (block + next - first) * BlockSize.Bytes)), cancellationToken);
                continue;
            }

            await disk.WriteAsync(block, piece.Buffer.AsMemory(first * BlockSize.Bytes, (next - first) * BlockSize.Bytes), isZero: false);
            await SumsAsync(() => disk.WriteSumsAsync(block, _sums.AsMemory(first, next - first)));
        }

        BytesRead += piece.Part.LengthBytes;
    }

    /// <summary>A damaged piece is read again block by block, so that only what is damaged is missing.</summary>
    private async ValueTask SettleAsync(Piece piece, CancellationToken cancellationToken)
    {
        if (await IsReadAsync(piece.Part.OffsetBytes, piece.Reading))
        {
            return;
        }

        for (int i = 0; i < BlockSize.CountFor(piece.Part.LengthBytes); i++)
        {
            long offset = piece.Part.OffsetBytes + ((long)i * BlockSize.Bytes);
            ByteRange block = ByteRange.FromTo(offset, Math.Min(piece.Part.EndBytes, offset + BlockSize.Bytes));
            if (!await IsReadAsync(offset, FillAsync(block, piece.Block(i), cancellationToken)))
            {
                piece.Block(i).Span.Clear();
                DamagedBytes += block.LengthBytes;
            }
        }
    }

    /// <summary>False when what should be there is damaged.</summary>
    private async ValueTask<bool> IsReadAsync(long offset, Task reading)
    {
        try
        {
            await SeedAsync(offset, async () =>
            {
                await reading;
                return true;
            });
            return true;
        }
        catch (SeedUnreadableException unreadable) when (unreadable.InnerException is StorageException { Kind: FaultKind.Corrupt })
        {
            return false;
        }
    }

    /// <summary>A call into the seed: its faults are told apart from the base's.</summary>
    private async ValueTask<T> SeedAsync<T>(long offset, Func<ValueTask<T>> call)
    {
        try
        {
            return await call();
        }
        catch (StorageException why)
        {
            throw new SeedUnreadableException(geometry, offset, why);
        }
    }

    private async ValueTask ClearAsync(ByteRange range, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!range.IsEmpty)
        {
            await disk.ClearAsync(range);
            await SumsAsync(() => disk.ClearSumsAsync(range));
        }
    }

    private async ValueTask SumsAsync(Func<ValueTask> write)
    {
        try
        {
            await write();
        }
        catch (StorageException e) when (e.Kind != FaultKind.Full)
        {
            HasSumsFault = true;
            throw;
        }
    }

    private readonly record struct Piece(ByteRange Part, byte[] Buffer, Task Reading)
    {
        public Memory<byte> Block(int index) => Buffer.AsMemory(index * BlockSize.Bytes, BlockSize.Bytes);

        public void Return() => ArrayPool<byte>.Shared.Return(Buffer);
    }
}
