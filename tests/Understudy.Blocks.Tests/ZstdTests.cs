using Understudy.Blocks.Compression;
using Understudy.Testing;

namespace Understudy.Blocks.Tests;

public sealed class ZstdTests : IDisposable
{
    private readonly ZstdCompressor _compressor = new();
    private readonly ZstdDecompressor _decompressor = new();

    public void Dispose()
    {
        _compressor.Dispose();
        _decompressor.Dispose();
    }

    [Fact]
    public void What_was_compressed_comes_back_whole()
    {
        byte[] text = Text();
        byte[] frame = new byte[text.Length];
        byte[] back = new byte[text.Length];

        Assert.True(_compressor.TryCompress(text, frame, out int written));
        Assert.InRange(written, 1, text.Length / 4);
        Assert.True(_decompressor.TryDecompress(frame.AsSpan(0, written), back));
        Assert.Equal(text, back);
    }

    [Fact]
    public void Noise_does_not_fit_into_less_room_than_it_has()
    {
        byte[] noise = new byte[BlockSize.Bytes];
        new Random(1).NextBytes(noise);

        Assert.False(_compressor.TryCompress(noise, new byte[noise.Length - 1], out int written));
        Assert.Equal(0, written);
    }

    [Fact]
    public void Wrong_expected_length_is_refused_in_both_directions()
    {
        byte[] text = Text();
        byte[] frame = new byte[text.Length];
        Assert.True(_compressor.TryCompress(text, frame, out int written));

        Assert.False(_decompressor.TryDecompress(frame.AsSpan(0, written), new byte[text.Length - 1]));
        Assert.False(_decompressor.TryDecompress(frame.AsSpan(0, written), new byte[text.Length + 1]));
    }

    [Fact]
    public void Damaged_frames_never_write_outside_the_target_and_the_context_survives()
    {
        Random random = new(Seed.Next());
        byte[] text = Text();
        byte[] frame = new byte[text.Length];
        Assert.True(_compressor.TryCompress(text, frame, out int written));
        byte[] guarded = new byte[text.Length + 64];
        for (int round = 0; round < 2000; round++)
        {
            byte[] damaged = frame[..random.Next(written + 1)];
            for (int hit = random.Next(8); hit > 0 && damaged.Length > 0; hit--)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            _decompressor.TryDecompress(damaged, guarded.AsSpan(32, text.Length));
            Assert.True(ZeroScan.IsZero(guarded.AsSpan(0, 32)) && ZeroScan.IsZero(guarded.AsSpan(32 + text.Length)));
        }

        Assert.True(_decompressor.TryDecompress(frame.AsSpan(0, written), guarded.AsSpan(32, text.Length)));
        Assert.True(guarded.AsSpan(32, text.Length).SequenceEqual(text));
    }

    [Fact]
    public void No_allocation_a_block()
    {
        byte[] text = Text();
        byte[] frame = new byte[text.Length];
        RoundTrip(text, frame);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++)
        {
            RoundTrip(text, frame);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Closed_contexts_refuse()
    {
        _compressor.Dispose();
        _decompressor.Dispose();

        Assert.Throws<ObjectDisposedException>(() => _compressor.TryCompress([1], new byte[9], out _));
        Assert.Throws<ObjectDisposedException>(() => _decompressor.TryDecompress([1], new byte[9]));
    }

    private static byte[] Text()
    {
        byte[] text = new byte[BlockSize.Bytes];
        for (int i = 0; i < text.Length; i++)
        {
            text[i] = (byte)("all records whole "[i % 18] + (i / 4096));
        }

        return text;
    }

    private void RoundTrip(byte[] text, byte[] frame)
    {
        _compressor.TryCompress(text, frame, out int written);
        _decompressor.TryDecompress(frame.AsSpan(0, written), text);
    }
}
