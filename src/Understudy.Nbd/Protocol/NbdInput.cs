using System.Buffers;
using Understudy.Blocks;

namespace Understudy.Nbd.Protocol;

/// <summary>
/// The receiving half of a connection: small things come out of one buffer, bulk goes from the stream straight into the
/// target. One user at a time. A stream that ends inside something throws <see cref="EndOfStreamException"/>.
/// </summary>
internal sealed class NbdInput(Stream stream) : IDisposable
{
    private readonly Stream _stream = stream;
    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(NbdLimits.InputBufferBytes);
    private int _start;
    private int _end;

    private int Buffered => _end - _start;

    /// <summary>
    /// The next <paramref name="length"/> bytes, at most <see cref="NbdLimits.InputBufferBytes"/>; valid until the next
    /// call. Empty when the stream ended before the first of them.
    /// </summary>
    public async ValueTask<ReadOnlyMemory<byte>> TryTakeAsync(int length, CancellationToken cancellationToken)
    {
        if (Buffered < length)
        {
            _buffer.AsSpan(_start, Buffered).CopyTo(_buffer);
            (_start, _end) = (0, Buffered);
            while (_end < length)
            {
                int read = await _stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
                if (read == 0)
                {
                    return _end == 0 ? default(ReadOnlyMemory<byte>) : throw new EndOfStreamException();
                }

                _end += read;
            }
        }

        _start += length;
        return _buffer.AsMemory(_start - length, length);
    }

    public async ValueTask<ReadOnlyMemory<byte>> TakeAsync(int length, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> taken = await TryTakeAsync(length, cancellationToken);
        return taken.Length == length ? taken : throw new EndOfStreamException();
    }

    public async ValueTask FillAsync(Memory<byte> target, CancellationToken cancellationToken)
    {
        int ready = Math.Min(Buffered, target.Length);
        _buffer.AsSpan(_start, ready).CopyTo(target.Span);
        _start += ready;
        if (ready < target.Length)
        {
            await _stream.ReadWholeAsync(target[ready..], cancellationToken);
        }
    }

    public async ValueTask SkipAsync(long length, CancellationToken cancellationToken)
    {
        while (length > 0)
        {
            int part = (int)Math.Min(length, NbdLimits.InputBufferBytes);
            await TakeAsync(part, cancellationToken);
            length -= part;
        }
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);
}
