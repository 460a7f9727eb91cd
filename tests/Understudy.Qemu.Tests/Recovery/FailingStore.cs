using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>A store whose files cannot be flushed for a while: what such a flush was to make durable is not.</summary>
internal sealed class FailingStore(IFileStore inner) : IFileStore
{
    /// <summary>So many flushes of files fail from now on.</summary>
    public int FailingFlushes { get; set; }

    public async ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken) =>
        new FailingFile(this, await inner.OpenAsync(name, mode, cancellationToken));

    public ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken) => inner.RenameAsync(from, to, cancellationToken);

    public ValueTask DeleteAsync(string name, CancellationToken cancellationToken) => inner.DeleteAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken) => inner.ListAsync(folder, cancellationToken);

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken) => inner.CreateFolderAsync(folder, cancellationToken);

    public ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken) => inner.FlushFolderAsync(folder, cancellationToken);

    public ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken) => inner.GetFreeBytesAsync(cancellationToken);

    private sealed class FailingFile(FailingStore owner, IStoreFile inner) : IStoreFile
    {
        private bool _dead;

        public string Name => inner.Name;

        public long LengthBytes => inner.LengthBytes;

        public ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) =>
            inner.ReadAsync(offsetBytes, buffer, cancellationToken);

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
            inner.WriteAsync(offsetBytes, data, cancellationToken);

        public ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken) => inner.SetLengthAsync(lengthBytes, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            if (_dead || owner.FailingFlushes > 0)
            {
                owner.FailingFlushes--;
                _dead = true;
                throw new StorageException(FaultKind.Io, inner.Name, "the flush failed");
            }

            return inner.FlushAsync(cancellationToken);
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
