using Understudy.Blocks;

namespace Understudy.Nbd;

public sealed record NbdReconnectOptions
{
    /// <summary>
    /// How long one call waits for the server to come back before it fails. Longer than a restart of qemu-storage-daemon
    /// (a second or two), shorter than anyone's patience.
    /// </summary>
    public TimeSpan Limit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Pause between two attempts.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromMilliseconds(100);
}

/// <summary>
/// An NBD disk that outlives its connection: when the connection is lost, the next call opens another through the factory.
/// <para>Reads and extents are asked again. A write is not: when the connection goes, nobody knows which of the writes
/// since the last flush the server carried out, and whether it kept them. So the write fails, and with it the device: it is
/// dead for good as after a failed flush, and its owner must go back to what it knows to be durable. A device on
/// which nothing was written since the last flush loses nothing and goes on.</para>
/// <para>The server may come back read-only (the commit of a failover takes writing away): reads go on, writes are then
/// refused by the server.</para>
/// <para>The state (current connection, unflushed writes) is behind one lock; connecting is behind a gate, so that many
/// waiting reads make one attempt at a time.</para>
/// </summary>
public sealed class ReconnectingNbdDevice : IBlockDevice, IExtentSource
{
    private readonly Func<CancellationToken, ValueTask<NbdClient>> _connect;
    private readonly TimeProvider _time;
    private readonly NbdReconnectOptions _options;
    private readonly string _subject;
    private readonly AsyncGate _connecting = new();
    private readonly Lock _lock = new();
    private NbdClient _current;
    private int _unflushedWrites;
    private string? _deathReason;
    private string? _deathRemedy;
    private bool _disposed;

    private ReconnectingNbdDevice(
        NbdClient first,
        string subject,
        Func<CancellationToken, ValueTask<NbdClient>> connect,
        TimeProvider time,
        NbdReconnectOptions options)
    {
        _current = first;
        _subject = subject;
        _connect = connect;
        _time = time;
        _options = options;
        SizeBytes = first.SizeBytes;
        IsReadOnly = first.IsReadOnly;
    }

    public long SizeBytes { get; }

    public bool IsReadOnly { get; }

    /// <summary>How many times the connection was replaced.</summary>
    public int Reconnects { get; private set; }

    /// <param name="subject">What the disk is called in messages.</param>
    /// <param name="connect">Opens a new connection to the same export. The first failure of the first one is thrown.</param>
    public static async ValueTask<ReconnectingNbdDevice> OpenAsync(
        string subject,
        Func<CancellationToken, ValueTask<NbdClient>> connect,
        TimeProvider time,
        NbdReconnectOptions options,
        CancellationToken cancellationToken) =>
        new(await connect(cancellationToken), subject, connect, time, options);

    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
        for (long started = _time.GetTimestamp(); ;)
        {
            NbdClient client = await ConnectedAsync(started, cancellationToken);
            try
            {
                await client.ReadAsync(offsetBytes, buffer, cancellationToken);
                return;
            }
            catch (StorageException fault) when (MayAskAgain(fault, client, started))
            {
                // On the next connection.
            }
        }
    }

    public async ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        for (long started = _time.GetTimestamp(); ;)
        {
            NbdClient client = await ConnectedAsync(started, cancellationToken);
            try
            {
                return await client.GetExtentsAsync(range, cancellationToken);
            }
            catch (StorageException fault) when (MayAskAgain(fault, client, started))
            {
                // On the next connection.
            }
        }
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, data.Length);
        return ChangeAsync(client => client.WriteAsync(offsetBytes, data, cancellationToken), cancellationToken);
    }

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        return ChangeAsync(client => client.ZeroAsync(range, cancellationToken), cancellationToken);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        NbdClient client;
        int covered;
        lock (_lock)
        {
            ThrowIfDead();
            (client, covered) = (_current, _unflushedWrites);
        }

        if (covered == 0)
        {
            return; // Also on a lost connection: there is nothing it could have lost.
        }

        try
        {
            await client.FlushAsync(cancellationToken);
        }
        catch (Exception fault) when (fault is StorageException or OperationCanceledException && !client.IsConnected)
        {
            throw Die(fault);
        }

        lock (_lock)
        {
            _unflushedWrites -= covered; // Those begun meanwhile are not covered.
        }
    }

    public async ValueTask DisposeAsync()
    {
        NbdClient last;
        lock (_lock)
        {
            _disposed = true;
            last = _current;
        }

        await last.DisposeAsync();
    }

    private async ValueTask ChangeAsync(Func<NbdClient, ValueTask> change, CancellationToken cancellationToken)
    {
        NbdClient client = await ConnectedAsync(_time.GetTimestamp(), cancellationToken);
        lock (_lock)
        {
            ThrowIfDead();
            _unflushedWrites++;
        }

        try
        {
            await change(client);
        }
        catch (Exception fault) when (fault is StorageException or OperationCanceledException && !client.IsConnected)
        {
            throw Die(fault);
        }
    }

    /// <summary>The connection to use: the current one while it works, else a new one within the limit.</summary>
    private async ValueTask<NbdClient> ConnectedAsync(long started, CancellationToken cancellationToken)
    {
        if (Usable() is { } usable)
        {
            return usable;
        }

        using AsyncGate.Pass pass = await _connecting.EnterAsync(cancellationToken);
        while (true)
        {
            if (Usable() is { } replaced)
            {
                return replaced;
            }

            StorageException reason;
            try
            {
                return await ReplaceAsync(await _connect(cancellationToken));
            }
            catch (StorageException fault) when (fault.Class != FaultClass.Fatal)
            {
                reason = fault;
            }

            if (_time.GetElapsedTime(started) + _options.Pause >= _options.Limit)
            {
                throw new StorageException(
                    FaultKind.Io, _subject, $"the NBD server did not come back within {_options.Limit} ({reason.Message})", inner: reason);
            }

            await Task.Delay(_options.Pause, _time, cancellationToken);
        }
    }

    /// <summary>Null when the connection has to be replaced first.</summary>
    private NbdClient? Usable()
    {
        lock (_lock)
        {
            ThrowIfDead();
            if (_current.IsConnected)
            {
                return _current;
            }

            return _unflushedWrites == 0 ? null : throw Die(NbdFault.Lost(_subject));
        }
    }

    private async ValueTask<NbdClient> ReplaceAsync(NbdClient replacement)
    {
        if (replacement.SizeBytes != SizeBytes)
        {
            await replacement.DisposeAsync();
            throw new StorageException(
                FaultKind.Corrupt,
                _subject,
                $"another disk answers: {replacement.SizeBytes} bytes in place of {SizeBytes}");
        }

        NbdClient old;
        lock (_lock)
        {
            old = _current;
            if (!_disposed)
            {
                _current = replacement;
                Reconnects++;
            }
        }

        await (_disposed ? replacement : old).DisposeAsync();
        ThrowIfDead();
        return replacement;
    }

    /// <summary>Only after a lost connection, and only while the limit lasts: an error the server answered stays one.</summary>
    private bool MayAskAgain(StorageException fault, NbdClient client, long started) =>
        fault.Class == FaultClass.Transient && !client.IsConnected && _time.GetElapsedTime(started) < _options.Limit;

    private StorageException Die(Exception cause)
    {
        lock (_lock)
        {
            _deathReason ??= cause is StorageException { Kind: FaultKind.FlushFailed }
                ? $"a flush failed; which of the writes before it were kept is unknown ({cause.Message})"
                : $"the connection was lost after writes that were not flushed; which of them were kept is unknown ({cause.Message})";
            _deathRemedy ??= (cause as StorageException)?.Remedy;
        }

        return Dead(cause);
    }

    private StorageException Dead(Exception? cause) => new(
        FaultKind.FlushFailed,
        _subject,
        _deathReason ?? "", // set before anything is dead
        _deathRemedy,
        cause);

    private void ThrowIfDead()
    {
        if (_disposed)
        {
            throw NbdFault.Closed(_subject);
        }

        if (_deathReason is not null)
        {
            throw Dead(cause: null);
        }
    }
}
