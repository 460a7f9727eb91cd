using System.Buffers;
using System.Runtime.CompilerServices;
using Understudy.Blocks;
using Understudy.Nbd.Client;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd;

/// <summary>How requests are cut, sent and waited for.</summary>
public sealed partial class NbdClient
{
    /// <summary>The longest block-status request: the protocol's 32 bits, cut to a block boundary.</summary>
    private const long MaxQueryBytes = (1L << 32) - (64 * 1024);

    private static readonly byte[] s_zeros = new byte[256 * 1024];

    private async ValueTask WriteAsync(
        long offsetBytes, ReadOnlyMemory<byte> data, CommandFlags flags, CancellationToken cancellationToken)
    {
        CheckWrite(offsetBytes, data.Length);
        if (data.Length <= _maxRequestBytes)
        {
            await RunAsync(
                new Request(NbdCommand.Write, offsetBytes, data.Length) { Flags = flags, Payload = data }, cancellationToken);
        }
        else
        {
            await RunPiecesAsync(
                data.Length,
                _maxRequestBytes,
                (start, length) => RunAsync(
                    new Request(NbdCommand.Write, offsetBytes + start, length) { Flags = flags, Payload = data.Slice((int)start, length) },
                    cancellationToken));
        }
    }

    private ValueTask WriteZerosAsync(ByteRange range, CancellationToken cancellationToken) => RunPiecesAsync(
        range.LengthBytes,
        Math.Min(_maxRequestBytes, s_zeros.Length),
        (start, length) => RunAsync(
            new Request(NbdCommand.Write, range.OffsetBytes + start, length) { Payload = s_zeros.AsMemory(0, length) },
            cancellationToken));

    /// <summary>A command without payload over a range of any length.</summary>
    private ValueTask RunOverAsync(NbdCommand command, ByteRange range, CancellationToken cancellationToken) => RunPiecesAsync(
        range.LengthBytes,
        (int)_facts.MaxPayloadBytes,
        (start, length) => RunAsync(new Request(command, range.OffsetBytes + start, length), cancellationToken));

    private async ValueTask ReadUnalignedAsync(long offsetBytes, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        long start = offsetBytes / MinBlockBytes * MinBlockBytes;
        long blocks = (offsetBytes + buffer.Length - start + MinBlockBytes - 1) / MinBlockBytes;
        int length = checked((int)(Math.Min(SizeBytes, start + (blocks * MinBlockBytes)) - start));
        byte[] whole = ArrayPool<byte>.Shared.Rent(length);
        await ReadAsync(start, whole.AsMemory(0, length), cancellationToken);
        whole.AsSpan((int)(offsetBytes - start), buffer.Length).CopyTo(buffer.Span);
        ArrayPool<byte>.Shared.Return(whole); // Not after a fault: then it is simply left to the collector.
    }

    /// <summary>Asks for the block status of a range until it is covered; each part is told once, in order.</summary>
    private async ValueTask QueryAsync(
        string context, ByteRange range, Action<ByteRange, uint> onPart, CancellationToken cancellationToken)
    {
        long at = range.OffsetBytes / MinBlockBytes * MinBlockBytes;
        while (at < range.EndBytes)
        {
            long wanted = Math.Min(MaxQueryBytes, SizeBytes - at);
            wanted = Math.Min(wanted, (range.EndBytes - at + MinBlockBytes - 1) / MinBlockBytes * MinBlockBytes);
            StatusSink sink = new(_facts.Contexts[context]);
            await RunAsync(
                new Request(NbdCommand.BlockStatus, at, 0) { StatusLength = (uint)wanted, Status = sink }, cancellationToken);
            foreach ((long length, uint flags) in sink.Descriptors)
            {
                ByteRange part = new ByteRange(at, length).Intersect(range); // The last one may reach further.
                at += length;
                if (!part.IsEmpty)
                {
                    onPart(part, flags);
                }
            }
        }
    }

    /// <summary>
    /// Runs pieces side by side, no more at once than the connection takes. Returns when none is running any more, also
    /// after a failure: the caller's buffer is then free.
    /// </summary>
    private async ValueTask RunPiecesAsync(long totalBytes, int pieceBytes, Func<long, int, ValueTask> run)
    {
        long next = 0;
        async Task RunLaneAsync()
        {
            try
            {
                for (long start; (start = Interlocked.Add(ref next, pieceBytes) - pieceBytes) < totalBytes;)
                {
                    await run(start, (int)Math.Min(pieceBytes, totalBytes - start));
                }
            }
            catch
            {
                Interlocked.Exchange(ref next, totalBytes); // The other lanes end with the piece they are at.
                throw;
            }
        }

        long pieces = (totalBytes + pieceBytes - 1) / pieceBytes;
        Task[] lanes = new Task[Math.Min(pieces, _maxInFlight)];
        for (int lane = 0; lane < lanes.Length; lane++)
        {
            lanes[lane] = RunLaneAsync();
        }

        await Task.WhenAll(lanes);
    }

    /// <summary>One request, from waiting for its turn to its reply.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask RunAsync(Request request, CancellationToken cancellationToken)
    {
        if (request.Length == 0 && request.Command is NbdCommand.Read or NbdCommand.Write)
        {
            ThrowIfEnded();
            return; // The protocol leaves open what an empty request means.
        }

        NbdOperation operation = await _table.RentAsync(cancellationToken);
        try
        {
            CancellationTokenRegistration cancelling;
            using (await _sending.EnterAsync(cancellationToken))
            {
                operation.Begin(request.Command, request.Offset, request.Length, request.Target, request.Status);
                _table.Publish(operation);
                cancelling = cancellationToken.UnsafeRegister(static client => ((NbdClient)client!).Cancel(), this);
                await SendAsync(
                    new RequestHeader(
                        NbdProtocol.RequestMagic,
                        request.Flags,
                        request.Command,
                        operation.Cookie,
                        (ulong)request.Offset,
                        request.StatusLength ?? (uint)request.Length),
                    request.Payload);
            }

            await using (cancelling)
            {
                await operation.Completion;
            }
        }
        catch (StorageException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        finally
        {
            _table.Return(operation);
        }
    }

    /// <summary>
    /// Inside the gate. A failure here ends the connection and is not thrown: the reader loop fails what is in flight,
    /// this request too, once it has stopped touching buffers.
    /// </summary>
    private async ValueTask SendAsync(RequestHeader header, ReadOnlyMemory<byte> payload)
    {
        try
        {
            header.Write(_header);
            await _stream.WriteAsync(_header, _stop.Token);
            if (!payload.IsEmpty)
            {
                await _stream.WriteAsync(payload, _stop.Token);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException || NbdFault.IsConnectionFault(exception))
        {
            End(NbdFault.Lost(_subject, exception));
        }
    }

    /// <summary>The loop that owns the receiving half. Its last act is to fail whatever is still in flight.</summary>
    private async Task ReadRepliesAsync()
    {
        try
        {
            while (await _replies.ReadOneAsync(_stop.Token))
            {
            }

            End(NbdFault.Lost(_subject));
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // End has said why.
        }
        catch (Exception exception) when (NbdFault.IsConnectionFault(exception))
        {
            End(NbdFault.Lost(_subject, exception));
        }
        catch (Exception exception)
        {
            End(exception); // Nonsense from the peer, or a bug of ours: whoever waits hears it.
        }
        finally
        {
            _table.FailAll();
        }
    }

    private void Cancel() => End(NbdFault.Lost(_subject, new OperationCanceledException("a request in flight was cancelled")));

    /// <summary>The first reason stays. Stops the reader loop and any sender.</summary>
    private void End(Exception fault)
    {
        _table.Doom(fault);
        _stop.Cancel();
    }

    private bool IsAligned(long offsetBytes, long lengthBytes) =>
        offsetBytes % MinBlockBytes == 0
        && (lengthBytes % MinBlockBytes == 0 || offsetBytes + lengthBytes == SizeBytes);

    private void CheckWrite(long offsetBytes, long lengthBytes)
    {
        DeviceRange.Check(SizeBytes, offsetBytes, lengthBytes);
        ThrowIfEnded();
        if (IsReadOnly)
        {
            throw new StorageException(FaultKind.Denied, _subject, "the export is read-only");
        }

        if (!IsAligned(offsetBytes, lengthBytes))
        {
            throw new ArgumentOutOfRangeException(
                nameof(offsetBytes), $"{_subject}: {lengthBytes} bytes at {offsetBytes} are not whole blocks of {MinBlockBytes}.");
        }
    }

    /// <summary>Closed by us is closed, also where the server hung up on our goodbye before we did.</summary>
    private void ThrowIfEnded()
    {
        if (_disposed)
        {
            throw NbdFault.Closed(_subject);
        }

        _table.ThrowIfEnded();
    }

    private readonly record struct Request(NbdCommand Command, long Offset, int Length)
    {
        public CommandFlags Flags { get; init; }

        public Memory<byte> Target { get; init; }

        public ReadOnlyMemory<byte> Payload { get; init; }

        /// <summary>A block status asks about more than fits into <see cref="Length"/>.</summary>
        public uint? StatusLength { get; init; }

        public StatusSink? Status { get; init; }
    }

    private static void AddExtent(List<BlockExtent> extents, ByteRange part, uint flags)
    {
        ExtentKind kind = (flags & NbdProtocol.StateZero) == 0 ? ExtentKind.Data
            : (flags & NbdProtocol.StateHole) == 0 ? ExtentKind.Zero
            : ExtentKind.Hole;
        if (extents.Count > 0 && extents[^1].Kind == kind)
        {
            extents[^1] = new BlockExtent(ByteRange.FromTo(extents[^1].Range.OffsetBytes, part.EndBytes), kind);
        }
        else
        {
            extents.Add(new BlockExtent(part, kind));
        }
    }
}
