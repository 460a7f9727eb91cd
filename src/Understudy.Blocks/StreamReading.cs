namespace Understudy.Blocks;

/// <summary>
/// Reading from a stream on the caller's context. The framework's own ReadExactlyAsync awaits without it and so leaves
/// the simulation (docs/decisions/determinism.md).
/// </summary>
public static class StreamReading
{
    extension(Stream stream)
    {
        /// <summary>Fills the whole buffer; throws <see cref="EndOfStreamException"/> when the stream ends before.</summary>
        public async ValueTask ReadWholeAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            while (!buffer.IsEmpty)
            {
                int count = await stream.ReadAsync(buffer, cancellationToken);
                if (count == 0)
                {
                    throw new EndOfStreamException($"the stream ended {buffer.Length} bytes too early");
                }

                buffer = buffer[count..];
            }
        }
    }
}
