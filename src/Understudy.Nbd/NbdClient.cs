using System.Runtime.CompilerServices;
using Understudy.Blocks;
using Understudy.Nbd.Client;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd;

/// <summary>
/// One connection to an NBD export, as a disk. Many requests run side by side; replies may come in any order.
/// <para>Failure: a lost connection, or a server that breaks the protocol, ends this client; every request in flight and
/// every later one throws. What was written and not flushed is then unknown.</para>
/// <para>Cancellation: before a request is sent it is simply not sent. After that the caller's buffer is in use, so
/// cancelling ends the whole connection, and the call returns when nobody touches the buffer any more.</para>
/// <para>Threads: callers may be many; one reader loop, started here and awaited in <see cref="DisposeAsync"/>, owns the
/// receiving half; the sending half is behind a gate.</para>
/// </summary>
public sealed partial class NbdClient : IBlockDevice, IExtentSource
{
    private readonly Stream _stream;
    private readonly NbdInput _input;
    private readonly NbdExportFacts _facts;
    private readonly NbdInFlightTable _table;
    private readonly NbdReplyReader _replies;
    private readonly string _subject;
    private readonly int _maxRequestBytes;
    private readonly int _maxInFlight;
    private readonly AsyncGate _sending = new();
    private readonly byte[] _header = new byte[RequestHeader.SizeBytes]; // Behind the gate.
    private readonly CancellationTokenSource _stop = new(); // Never disposed: a late cancellation may still come to End.
    private readonly Task _reader;
    private readonly NbdSilenceWatch? _watch;
    private volatile bool _disposed;

    private NbdClient(Stream stream, NbdInput input, NbdExportFacts facts, NbdClientOptions options, string subject)
    {
        _stream = stream;
        _input = input;
        _facts = facts;
        _subject = subject;
        _maxInFlight = options.MaxInFlight;
        _table = new NbdInFlightTable(_maxInFlight);
        _replies = new NbdReplyReader(input, facts, _table, subject);
        _maxRequestBytes = Math.Max((int)facts.MinBlockBytes, (int)Math.Min(options.MaxRequestBytes, facts.MaxPayloadBytes)
            / (int)facts.MinBlockBytes * (int)facts.MinBlockBytes);
        _reader = ReadRepliesAsync();
        _watch = options.Patience is { } patience ? new NbdSilenceWatch(patience, _table, () => End(NbdFault.Silent(subject, patience.Limit))) : null;
    }

    public long SizeBytes => _facts.SizeBytes;

    public bool IsReadOnly => _facts.Has(TransmissionFlags.ReadOnly);

    /// <summary>Whether the server promises that several connections see each other's flushed writes.</summary>
    public bool CanMultiConnect => _facts.Has(TransmissionFlags.CanMultiConn);

    /// <summary>Writes must be multiples of this; reads may be anything.</summary>
    public int MinBlockBytes => (int)_facts.MinBlockBytes;

    /// <summary>False once the connection is lost, closed or not to be trusted; it never comes back.</summary>
    public bool IsConnected => !_table.IsEnded;

    /// <summary>Takes the stream: it is closed with the client, and when this throws.</summary>
    /// <exception cref="StorageException">The export is missing or refused, or the peer is no NBD server.</exception>
    public static async ValueTask<NbdClient> ConnectAsync(
        Stream stream, NbdClientOptions options, CancellationToken cancellationToken)
    {
        string subject = $"NBD export '{options.Export}'";
        NbdInput input = new(stream);
        using CancellationTokenSource? late = options.Patience is { } patience ? new CancellationTokenSource(patience.Limit, patience.Time) : null;
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late?.Token ?? CancellationToken.None);
        try
        {
            NbdExportFacts facts = await new NbdClientHandshake(stream, input, subject).RunAsync(options, either.Token);
            return new NbdClient(stream, input, facts, options, subject);
        }
        catch (Exception exception)
        {
            input.Dispose();
            await stream.DisposeAsync();
            if (exception is OperationCanceledException && late is { IsCancellationRequested: true } && !cancellationToken.IsCancellationRequested)
            {
                throw NbdFault.Silent(subject, options.Patience!.Limit); // late has it
            }

            if (NbdFault.IsConnectionFault(exception))
            {
                throw NbdFault.Lost(subject, exception);
            }

            throw;
        }
    }

    /// <summary>Whether the server granted this metadata context.</summary>
    public bool HasContext(string context) => _facts.Contexts.ContainsKey(context);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, buffer.Length);
        ThrowIfEnded();
        if (!IsAligned(offsetBytes, buffer.Length))
        {
            await ReadUnalignedAsync(offsetBytes, buffer, cancellationToken);
        }
        else if (buffer.Length <= _maxRequestBytes)
        {
            await RunAsync(new Request(NbdCommand.Read, offsetBytes, buffer.Length) { Target = buffer }, cancellationToken);
        }
        else
        {
            await RunPiecesAsync(
                buffer.Length,
                _maxRequestBytes,
                (start, length) => RunAsync(
                    new Request(NbdCommand.Read, offsetBytes + start, length) { Target = buffer.Slice((int)start, length) },
                    cancellationToken));
        }
    }

    public ValueTask WriteAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        WriteAsync(offsetBytes, data, CommandFlags.None, cancellationToken);

    /// <summary>A write that is durable when it returns.</summary>
    public async ValueTask WriteDurablyAsync(long offsetBytes, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        bool fua = _facts.Has(TransmissionFlags.SendFua);
        await WriteAsync(offsetBytes, data, fua ? CommandFlags.Fua : CommandFlags.None, cancellationToken);
        if (!fua)
        {
            await FlushAsync(cancellationToken);
        }
    }

    public ValueTask ZeroAsync(ByteRange range, CancellationToken cancellationToken)
    {
        CheckWrite(range.OffsetBytes, range.LengthBytes);
        return _facts.Has(TransmissionFlags.SendWriteZeroes)
            ? RunOverAsync(NbdCommand.WriteZeroes, range, cancellationToken)
            : WriteZerosAsync(range, cancellationToken);
    }

    /// <summary>Says that the range's content is not needed any more; afterwards it may read as anything.</summary>
    public ValueTask TrimAsync(ByteRange range, CancellationToken cancellationToken)
    {
        CheckWrite(range.OffsetBytes, range.LengthBytes);
        return _facts.Has(TransmissionFlags.SendTrim)
            ? RunOverAsync(NbdCommand.Trim, range, cancellationToken)
            : ValueTask.CompletedTask;
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded();
        if (!_facts.Has(TransmissionFlags.SendFlush))
        {
            return; // Such a server writes through, or the export is read-only.
        }

        try
        {
            await RunAsync(new Request(NbdCommand.Flush, 0, 0), cancellationToken);
        }
        catch (StorageException fault) when (IsConnected)
        {
            StorageException dead = new(
                FaultKind.FlushFailed, _subject, $"what was written since the last flush may be lost ({fault.Message})", fault.Remedy, fault);
            End(dead);
            throw dead;
        }
    }

    /// <summary>By <c>base:allocation</c>; all data when the server does not offer it.</summary>
    public async ValueTask<IReadOnlyList<BlockExtent>> GetExtentsAsync(ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        ThrowIfEnded();
        if (range.IsEmpty || !HasContext(NbdProtocol.AllocationContext))
        {
            return [new BlockExtent(range, ExtentKind.Data)];
        }

        List<BlockExtent> extents = [];
        await QueryAsync(NbdProtocol.AllocationContext, range, (part, flags) => AddExtent(extents, part, flags), cancellationToken);
        return extents;
    }

    /// <summary>The dirty bytes of the range by a <c>qemu:dirty-bitmap:…</c> context that was granted.</summary>
    public async ValueTask<ExtentSet> GetDirtyAsync(string context, ByteRange range, CancellationToken cancellationToken)
    {
        DeviceRange.Check(SizeBytes, range);
        if (!HasContext(context))
        {
            throw new StorageException(FaultKind.Missing, _subject, $"the server does not offer the metadata context {context}");
        }

        ExtentSet dirty = new();
        await QueryAsync(
            context,
            range,
            (part, flags) =>
            {
                if ((flags & NbdProtocol.StateDirty) != 0)
                {
                    dirty.Add(part);
                }
            },
            cancellationToken);
        return dirty;
    }

    /// <summary>Says goodbye when the connection still works, then ends the reader loop and closes the stream.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (_watch is not null)
        {
            await _watch.DisposeAsync();
        }

        if (IsConnected && _table.IsIdle) // With requests in flight the gate might never open.
        {
            using AsyncGate.Pass pass = await _sending.EnterAsync(CancellationToken.None);
            await SendAsync(new RequestHeader(NbdProtocol.RequestMagic, 0, NbdCommand.Disconnect, 0, 0, 0), default);
        }

        End(NbdFault.Closed(_subject));
        await _reader;
        await _stream.DisposeAsync();
        _input.Dispose();
    }
}
