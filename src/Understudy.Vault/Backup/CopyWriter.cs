using System.Security.Cryptography;

namespace Understudy.Vault.Backup;

/// <summary>Writes the chunks of a copy: plain bytes in, AES-256-GCM out. <see cref="FinishAsync"/> writes the last chunk, which says that it is.</summary>
internal sealed class CopyWriter(Stream output, AesGcm cipher, byte[] header) : Stream
{
    private readonly byte[] _plain = new byte[CopyHeader.ChunkBytes];
    private readonly byte[] _sealed = new byte[CopyHeader.ChunkBytes + CopyHeader.TagBytes];
    private int _length;
    private ulong _number;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (buffer.Length > 0)
        {
            if (_length == _plain.Length)
            {
                await SealAsync(isLast: false, cancellationToken); // Only now is it known not to be the last.
            }

            int part = Math.Min(buffer.Length, _plain.Length - _length);
            buffer[..part].CopyTo(_plain.AsMemory(_length));
            _length += part;
            buffer = buffer[part..];
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public ValueTask FinishAsync(CancellationToken cancellationToken) => SealAsync(isLast: true, cancellationToken);

    public override void Flush()
    {
        // A chunk goes out when it is full.
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private async ValueTask SealAsync(bool isLast, CancellationToken cancellationToken)
    {
        Seal(isLast);
        await output.WriteAsync(_sealed.AsMemory(0, _length + CopyHeader.TagBytes), cancellationToken);
        _length = 0;
    }

    private void Seal(bool isLast)
    {
        Span<byte> nonce = stackalloc byte[ChunkNonce.Bytes];
        ChunkNonce.Write(nonce, _number++, isLast);
        cipher.Encrypt(nonce, _plain.AsSpan(0, _length), _sealed.AsSpan(0, _length), _sealed.AsSpan(_length, CopyHeader.TagBytes), header);
    }
}
