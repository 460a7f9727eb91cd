using Understudy.Blocks;
using Understudy.Blocks.Storage;

namespace Understudy.Journal.Segments;

/// <summary>
/// The files of a folder that are open for reading: at most a few at a time however many there are, the least recently
/// used closed first. A file in use is never closed under its user. Threads meet only inside the gate.
/// </summary>
internal sealed class ReadHandles(IFileStore store, int limit) : IAsyncDisposable
{
    private readonly AsyncGate _gate = new();
    private readonly Dictionary<string, LinkedListNode<Handle>> _byName = new(StringComparer.Ordinal);
    private readonly LinkedList<Handle> _byUse = new();

    public async ValueTask<Lease> RentAsync(string name, CancellationToken cancellationToken)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(cancellationToken);
        if (_byName.TryGetValue(name, out LinkedListNode<Handle>? node))
        {
            _byUse.Remove(node);
            _byUse.AddFirst(node);
        }
        else
        {
            IStoreFile file = await store.OpenAsync(name, FileOpen.Read, cancellationToken);
            node = _byUse.AddFirst(new Handle(file));
            _byName.Add(name, node);
            await CloseSomeAsync();
        }

        node.Value.Users++;
        return new Lease(this, node.Value);
    }

    /// <summary>Forgets a file that is being deleted or changed; a user that has it open keeps reading what it opened.</summary>
    public async ValueTask ForgetAsync(string name)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        if (_byName.Remove(name, out LinkedListNode<Handle>? node))
        {
            _byUse.Remove(node);
            node.Value.IsForgotten = true;
            if (node.Value.Users == 0)
            {
                await node.Value.File.DisposeAsync();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        foreach (Handle handle in _byUse)
        {
            handle.IsForgotten = true;
            if (handle.Users == 0)
            {
                await handle.File.DisposeAsync();
            }
        }

        _byUse.Clear();
        _byName.Clear();
    }

    private async ValueTask CloseSomeAsync()
    {
        LinkedListNode<Handle>? node = _byUse.Last;
        while (_byUse.Count > limit && node is not null && node != _byUse.First)
        {
            LinkedListNode<Handle>? previous = node.Previous;
            if (node.Value.Users == 0)
            {
                _byUse.Remove(node);
                _byName.Remove(node.Value.File.Name);
                await node.Value.File.DisposeAsync();
            }

            node = previous;
        }
    }

    private async ValueTask ReturnAsync(Handle handle)
    {
        using AsyncGate.Pass pass = await _gate.EnterAsync(CancellationToken.None);
        handle.Users--;
        if (handle is { Users: 0, IsForgotten: true })
        {
            await handle.File.DisposeAsync();
        }
    }

    internal sealed class Handle(IStoreFile file)
    {
        public IStoreFile File { get; } = file;

        public int Users { get; set; }

        public bool IsForgotten { get; set; }
    }

    /// <summary>The right to read a file; dispose once to give it back.</summary>
    internal readonly struct Lease(ReadHandles owner, Handle handle) : IAsyncDisposable
    {
        public IStoreFile File => handle.File;

        public ValueTask DisposeAsync() => owner.ReturnAsync(handle);
    }
}
