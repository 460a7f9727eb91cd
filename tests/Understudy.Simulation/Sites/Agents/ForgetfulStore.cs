using Understudy.Blocks.Storage;
using Understudy.Protection.Ownership;
using Understudy.Protection.Target.Runs;
using Understudy.Simulation.Running;

namespace Understudy.Simulation.Sites.Agents;

/// <summary>Planted faults: a store that says a file is durable, and has flushed nothing; or that it is written, and has put it nowhere.</summary>
/// <param name="isMeant">Of which names.</param>
/// <param name="drops">Nothing is kept at all; otherwise only the flushes are left out.</param>
internal sealed class ForgetfulStore(IFileStore inner, Func<string, bool> isMeant, bool drops) : IFileStore
{
    private readonly IFileStore _inner = inner;
    private readonly Func<string, bool> _isMeant = isMeant;
    private readonly bool _drops = drops;
    private bool _leavesUnflushed;

    /// <summary>The store of a VM's records at one side, with the fault that is planted in this run.</summary>
    public static IFileStore Planted(Plant plant, IFileStore store) => plant switch
    {
        Plant.GiveAwayBeforeItIsDurable => new ForgetfulStore(store, name => name.StartsWith(OwnershipFile.Name, StringComparison.Ordinal), drops: false),
        Plant.KeepNoBranch => new ForgetfulStore(store, name => name.StartsWith(RunFiles.BranchFolder + "/", StringComparison.Ordinal), drops: true),
        _ => store,
    };

    public async ValueTask<IStoreFile> OpenAsync(string name, FileOpen mode, CancellationToken cancellationToken) =>
        new Unflushed(await _inner.OpenAsync(name, mode, cancellationToken), !_drops && _isMeant(name) && mode != FileOpen.Read);

    public async ValueTask RenameAsync(string from, string to, CancellationToken cancellationToken)
    {
        if (_isMeant(to) && _drops)
        {
            await _inner.DeleteAsync(from, cancellationToken);
            return;
        }

        _leavesUnflushed = _isMeant(to);
        await _inner.RenameAsync(from, to, cancellationToken);
    }

    public ValueTask DeleteAsync(string name, CancellationToken cancellationToken) => _inner.DeleteAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<StoreEntry>> ListAsync(string folder, CancellationToken cancellationToken) => _inner.ListAsync(folder, cancellationToken);

    public ValueTask CreateFolderAsync(string folder, CancellationToken cancellationToken) => _inner.CreateFolderAsync(folder, cancellationToken);

    public ValueTask FlushFolderAsync(string folder, CancellationToken cancellationToken)
    {
        if (_leavesUnflushed)
        {
            _leavesUnflushed = false;
            return default;
        }

        return _inner.FlushFolderAsync(folder, cancellationToken);
    }

    public ValueTask<long> GetFreeBytesAsync(CancellationToken cancellationToken) => _inner.GetFreeBytesAsync(cancellationToken);

    private sealed class Unflushed(IStoreFile inner, bool isMeant) : IStoreFile
    {
        private readonly IStoreFile _inner = inner;
        private readonly bool _isMeant = isMeant;

        public string Name => _inner.Name;

        public long LengthBytes => _inner.LengthBytes;

        public ValueTask<int> ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken) => _inner.ReadAsync(offsetBytes, buffer, cancellationToken);

        public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => _inner.WriteAsync(offsetBytes, data, cancellationToken);

        public ValueTask SetLengthAsync(long lengthBytes, CancellationToken cancellationToken) => _inner.SetLengthAsync(lengthBytes, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken) => _isMeant ? default : _inner.FlushAsync(cancellationToken);

        public ValueTask DisposeAsync() => _inner.DisposeAsync();
    }
}
