using System.IO.Pipelines;

namespace Understudy.Testing;

/// <summary>
/// A connection in memory with two ends, bounded like a socket's buffers, that can be cut after an exact number of bytes
/// in either direction: what was sent before the cut arrives, then both ends see it broken.
/// </summary>
public sealed class MemoryLink
{
    private const int BufferBytes = 64 * 1024;

    private readonly Pipe _forth = NewPipe();
    private readonly Pipe _back = NewPipe();
    private int _cut;

    /// <param name="cutForthAfterBytes">Bytes that still pass from the client to the server; null for no cut.</param>
    /// <param name="cutBackAfterBytes">The same from the server to the client.</param>
    public MemoryLink(long? cutForthAfterBytes = null, long? cutBackAfterBytes = null)
    {
        Client = new End(this, _back.Reader, _forth.Writer, cutForthAfterBytes ?? long.MaxValue);
        Server = new End(this, _forth.Reader, _back.Writer, cutBackAfterBytes ?? long.MaxValue);
    }

    public Stream Client { get; }

    public Stream Server { get; }

    public long ClientSentBytes => ((End)Client).SentBytes;

    public long ServerSentBytes => ((End)Server).SentBytes;

    public bool IsCut => Volatile.Read(ref _cut) == 1;

    public void Cut()
    {
        if (Interlocked.Exchange(ref _cut, 1) == 0)
        {
            IOException reset = new("connection reset (by the test)");
            _forth.Writer.Complete(reset);
            _back.Writer.Complete(reset);
        }
    }

    private static Pipe NewPipe() => new(new PipeOptions(
        pauseWriterThreshold: BufferBytes, resumeWriterThreshold: BufferBytes / 2, useSynchronizationContext: false));

    private sealed class End(MemoryLink link, PipeReader reader, PipeWriter writer, long allowedBytes) : Stream
    {
        private readonly Stream _reading = reader.AsStream(leaveOpen: true);
        private long _sentBytes;
        private bool _closed;

        public long SentBytes => Volatile.Read(ref _sentBytes);

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            _reading.ReadAsync(buffer, cancellationToken);

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            int allowed = (int)Math.Min(buffer.Length, allowedBytes - _sentBytes);
            FlushResult flushed = default;
            if (allowed > 0 && !link.IsCut)
            {
                Interlocked.Add(ref _sentBytes, allowed);
                flushed = await writer.WriteAsync(buffer[..allowed], cancellationToken);
            }

            if (allowed < buffer.Length)
            {
                link.Cut();
            }

            if (link.IsCut || flushed.IsCompleted)
            {
                throw new IOException("connection reset (by the test)");
            }
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        /// <summary>An orderly end: what was sent arrives, then the other side reads the end; what it sends is refused.</summary>
        protected override void Dispose(bool disposing)
        {
            if (!_closed && disposing)
            {
                _closed = true;
                if (!link.IsCut)
                {
                    writer.Complete();
                    reader.Complete();
                }
            }

            base.Dispose(disposing);
        }
    }
}
