using System.Security.Cryptography;
using Understudy.Model;

namespace Understudy.Vault.Backup;

/// <summary>Reads the chunks of a copy. Nothing of a chunk comes out before all of it was found to be what was written; a copy
/// that ends without its last chunk is refused.</summary>
internal sealed class CopyReader(Stream input, AesGcm cipher, byte[] header, string path) : Stream
{
    private readonly byte[] _sealed = new byte[CopyHeader.ChunkBytes + CopyHeader.TagBytes + 1]; // one more tells whether another chunk follows
    private readonly byte[] _plain = new byte[CopyHeader.ChunkBytes];
    private int _held; // of the next chunk, at the beginning of _sealed
    private int _at;
    private int _length;
    private ulong _number;
    private bool _ended;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_at == _length && !_ended)
        {
            await OpenAsync(cancellationToken);
        }

        int part = Math.Min(buffer.Length, _length - _at);
        _plain.AsMemory(_at, part).CopyTo(buffer);
        _at += part;
        return part;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        int length = _held + await input.ReadAtLeastAsync(_sealed.AsMemory(_held), _sealed.Length - _held, throwOnEndOfStream: false, cancellationToken);
        bool isLast = length < _sealed.Length;
        int chunk = isLast ? length : length - 1;
        if (chunk < CopyHeader.TagBytes)
        {
            throw Damaged(null);
        }

        Open(chunk, isLast);
        _sealed[0] = _sealed[^1];
        _held = isLast ? 0 : 1;
        (_at, _length, _ended) = (0, chunk - CopyHeader.TagBytes, isLast);
    }

    private void Open(int chunk, bool isLast)
    {
        Span<byte> nonce = stackalloc byte[ChunkNonce.Bytes];
        ChunkNonce.Write(nonce, _number++, isLast);
        int length = chunk - CopyHeader.TagBytes;
        try
        {
            cipher.Decrypt(nonce, _sealed.AsSpan(0, length), _sealed.AsSpan(length, CopyHeader.TagBytes), _plain.AsSpan(0, length), header);
        }
        catch (CryptographicException e)
        {
            throw Damaged(e);
        }
    }

    private ErrorException Damaged(Exception? inner) => new(Errors.VaultCopyUnusable(path, "it was changed, or cut off"), inner);
}
