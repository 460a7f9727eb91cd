using System.IO.Pipelines;

namespace Understudy.Nbd.Tests.Peers;

/// <summary>Two ends of a connection in memory. Closing one end is seen at the other as the end of the stream.</summary>
internal sealed class StreamPair : Stream
{
    private readonly Stream _receive;
    private readonly Stream _send;

    private StreamPair(Stream receive, Stream send)
    {
        _receive = receive;
        _send = send;
    }

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public static (StreamPair Ours, StreamPair Theirs) Create()
    {
        Pipe there = new();
        Pipe back = new();
        return (
            new StreamPair(back.Reader.AsStream(), there.Writer.AsStream()),
            new StreamPair(there.Reader.AsStream(), back.Writer.AsStream()));
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _receive.ReadAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _send.WriteAsync(buffer, cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await _receive.DisposeAsync();
        await _send.DisposeAsync();
        await base.DisposeAsync();
    }
}
