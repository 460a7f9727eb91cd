namespace Understudy.Blocks.Tests;

public sealed class StreamReadingTests
{
    [Fact]
    public async Task Whole_buffer_is_filled_from_short_reads_and_an_early_end_is_an_error()
    {
        await using var stream = new DripStream([1, 2, 3, 4, 5]);
        byte[] buffer = new byte[4];
        await stream.ReadWholeAsync(buffer, TestContext.Current.CancellationToken);
        Assert.Equal([1, 2, 3, 4], buffer);
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await stream.ReadWholeAsync(buffer, TestContext.Current.CancellationToken));
    }

    private sealed class DripStream(byte[] content) : MemoryStream(content)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
    }
}
