using Understudy.Blocks;

namespace Understudy.Testing.Contracts;

/// <summary>What every writable <see cref="IBlockDevice"/> must do; inherit, and say how to open an empty one.</summary>
public abstract class BlockDeviceContract
{
    protected const int SizeBytes = 4 * 1024 * 1024;

    /// <summary>The smallest unit the device takes; ranges in the suite are multiples of it.</summary>
    protected virtual int Unit => 512;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task New_disk_reads_as_zeros_over_its_whole_size()
    {
        await using IBlockDevice device = await OpenEmptyAsync(SizeBytes);
        byte[] all = NewNoise(1, SizeBytes);

        await device.ReadAsync(0, all, Token);

        Assert.Equal(SizeBytes, device.SizeBytes);
        Assert.False(device.IsReadOnly);
        Assert.True(ZeroScan.IsZero(all));
    }

    [Fact]
    public async Task Random_writes_and_zeros_read_back_like_a_plain_array()
    {
        Random random = new(Seed.Next());
        byte[] model = new byte[SizeBytes];
        await using IBlockDevice device = await OpenEmptyAsync(SizeBytes);
        for (int step = 0; step < 200; step++)
        {
            ByteRange range = RandomRange(random);
            Memory<byte> part = model.AsMemory((int)range.OffsetBytes, (int)range.LengthBytes);
            switch (random.Next(5))
            {
                case 0:
                    part.Span.Clear();
                    await device.ZeroAsync(range, Token);
                    break;
                case 1:
                    byte[] read = new byte[range.LengthBytes];
                    await device.ReadAsync(range.OffsetBytes, read, Token);
                    Assert.True(part.Span.SequenceEqual(read), $"step {step}: {range} differs");
                    break;
                case 2:
                    await device.FlushAsync(Token);
                    break;
                default:
                    random.NextBytes(part.Span);
                    await device.WriteAsync(range.OffsetBytes, part, Token);
                    break;
            }
        }

        byte[] all = new byte[SizeBytes];
        await device.ReadAsync(0, all, Token);
        Assert.True(all.AsSpan().SequenceEqual(model));
    }

    [Fact]
    public async Task Requests_in_flight_together_do_not_mix()
    {
        const int Count = 64;
        int length = SizeBytes / Count;
        await using IBlockDevice device = await OpenEmptyAsync(SizeBytes);
        byte[] model = NewNoise(2, SizeBytes);

        await Task.WhenAll(Enumerable.Range(0, Count).Select(
            i => device.WriteAsync((long)i * length, model.AsMemory(i * length, length), Token).AsTask()));
        byte[] all = new byte[SizeBytes];
        await Task.WhenAll(Enumerable.Range(0, Count).Select(
            i => device.ReadAsync((long)i * length, all.AsMemory(i * length, length), Token).AsTask()));

        Assert.True(all.AsSpan().SequenceEqual(model));
    }

    [Fact]
    public async Task Ranges_outside_the_disk_are_refused_and_empty_ones_are_not()
    {
        await using IBlockDevice device = await OpenEmptyAsync(SizeBytes);
        byte[] two = new byte[2 * Unit];
        foreach (long offset in (long[])[-Unit, SizeBytes - Unit, SizeBytes, long.MaxValue - Unit])
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await device.ReadAsync(offset, two, Token));
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await device.WriteAsync(offset, two, Token));
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
                async () => await device.ZeroAsync(new ByteRange(offset, two.Length), Token));
        }

        await device.ReadAsync(SizeBytes, Memory<byte>.Empty, Token);
        await device.WriteAsync(SizeBytes, ReadOnlyMemory<byte>.Empty, Token);
        await device.ZeroAsync(new ByteRange(SizeBytes, 0), Token);
    }

    [Fact]
    public async Task Extents_cover_the_range_in_order_and_tell_no_lie_about_zeros()
    {
        await using IBlockDevice device = await OpenEmptyAsync(SizeBytes);
        Assert.SkipUnless(device is IExtentSource, "the device knows no extents");
        await device.WriteAsync(BlockSize.Bytes * 3, NewNoise(3, BlockSize.Bytes * 2), Token);
        await device.WriteAsync(BlockSize.Bytes * 20, NewNoise(4, BlockSize.Bytes), Token);
        await device.ZeroAsync(new ByteRange(BlockSize.Bytes * 4, BlockSize.Bytes), Token);
        await device.FlushAsync(Token);
        ByteRange range = new(BlockSize.Bytes, BlockSize.Bytes * 30);

        IReadOnlyList<BlockExtent> extents = await ((IExtentSource)device).GetExtentsAsync(range, Token);

        long at = range.OffsetBytes;
        foreach ((ByteRange part, ExtentKind kind) in extents)
        {
            Assert.Equal(at, part.OffsetBytes);
            Assert.False(part.IsEmpty);
            at = part.EndBytes;
            byte[] content = new byte[part.LengthBytes];
            await device.ReadAsync(part.OffsetBytes, content, Token);
            Assert.True(kind == ExtentKind.Data || ZeroScan.IsZero(content), $"{part} is said to be {kind}");
        }

        Assert.Equal(range.EndBytes, at);
    }

    [Fact]
    public async Task Closed_device_refuses()
    {
        IBlockDevice device = await OpenEmptyAsync(SizeBytes);
        await device.DisposeAsync();

        StorageException fault = await Assert.ThrowsAsync<StorageException>(
            async () => await device.ReadAsync(0, new byte[Unit], Token));

        Assert.Equal(FaultKind.Closed, fault.Kind);
        await device.DisposeAsync();
    }

    protected abstract ValueTask<IBlockDevice> OpenEmptyAsync(long sizeBytes);

    private static byte[] NewNoise(int seed, int length)
    {
        byte[] noise = new byte[length];
        new Random(seed).NextBytes(noise);
        return noise;
    }

    private ByteRange RandomRange(Random random)
    {
        int units = SizeBytes / Unit;
        int start = random.Next(units);
        int length = Math.Min(1 + random.Next(random.Next(2) == 0 ? 16 : 1024), units - start);
        return new ByteRange((long)start * Unit, (long)length * Unit);
    }
}
