using Understudy.Blocks;

namespace Understudy.Testing.Simulation.Storage;

/// <summary>One opening of one file: the operations that files and devices share, and the rule that a failed flush is final.</summary>
internal sealed class SimHandle(SimDisk disk, SimProcess process, string path, SimContent content)
{
    private readonly SimDisk _disk = disk;
    private readonly SimProcess _process = process;
    private readonly string _path = path;
    private readonly SimContent _content = content;
    private bool _dead;
    private bool _closed;

    public long LengthBytes => _content.LengthBytes;

    public async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        Check(cancellationToken);
        (TimeSpan time, StorageException? fault) = _disk.Decide(DiskOperation.Read, _path, 0);
        await _process.TakeTimeAsync(time);
        _disk.Trace(_process, "read", _path, offset, buffer.Length);
        return fault is null ? _content.Read(offset, buffer.Span) : throw fault;
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        Check(cancellationToken);

        (TimeSpan time, StorageException? fault) = _disk.Decide(DiskOperation.Write, _path, offset + data.Length - _content.LengthBytes);

        // How much is in the cache at once, and how much at the end, decides what a kill during the call leaves behind.
        int early = _disk.Random.Next(4) switch { 0 => data.Length, 1 => SomeSectors(data.Length), _ => 0 };
        if (fault is not null)
        {
            early = fault.Kind == FaultKind.Full ? 0 : SomeSectors(data.Length);
            _disk.Counters.TornWrites += early > 0 ? 1 : 0;
        }

        _content.Write(offset, data.Span[..early]);
        await _process.TakeTimeAsync(time);
        _disk.Trace(_process, fault is null ? "write" : "write fails", _path, offset, data.Length);
        if (fault is not null)
        {
            throw fault;
        }

        _content.Write(offset + early, data.Span[early..]);
    }

    public async ValueTask ChangeAsync(string what, long growth, Action<SimContent> change, CancellationToken cancellationToken)
    {
        Check(cancellationToken);
        (TimeSpan time, StorageException? fault) = _disk.Decide(DiskOperation.Write, _path, growth);
        await _process.TakeTimeAsync(time);
        _disk.Trace(_process, what, _path, growth);
        if (fault is not null)
        {
            throw fault;
        }

        change(_content);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        Check(cancellationToken);
        long upTo = _content.LastChange;
        (TimeSpan time, StorageException? fault) = _disk.Decide(DiskOperation.Flush, _path, 0);
        await _process.TakeTimeAsync(time);
        _disk.Trace(_process, fault is null ? "flush" : "flush fails", _path, upTo);
        if (fault is not null)
        {
            _dead = true;
            _content.FailFlush(_disk.Random);
            throw fault;
        }

        _content.Flush(upTo);
    }

    public void Close() => _closed = true;

    private int SomeSectors(int length) => _disk.Random.Next(length / SimContent.SectorBytes + 1) * SimContent.SectorBytes;

    private void Check(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_dead || _closed)
        {
            throw new StorageException(FaultKind.Closed, _path, _closed ? "the file is closed" : "a flush of this file failed earlier");
        }
    }
}
