using System.Buffers;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Nbd.Protocol;

namespace Understudy.Nbd.Server;

/// <summary>
/// One connection after the handshake. One loop reads requests; a fixed number of workers carry them out and reply, each
/// when it is done, so replies come in any order. The first that fails stops the others. The loop and the workers end
/// before <see cref="RunAsync"/> returns; buffers go back to the pool with the request that holds them.
/// </summary>
internal sealed partial class NbdTransmission
{
    private readonly NbdInput _input;
    private readonly ChosenExport _export;
    private readonly NbdReplyWriter _replies;
    private readonly NbdExecutor _executor;
    private readonly ILogger _logger;
    private readonly PayloadBudget _budget = new(NbdLimits.ServerPayloadBytes);

    /// <summary>As deep as one request a worker: a full channel leaves further requests in the socket.</summary>
    private readonly Channel<Work> _work = Channel.CreateBounded<Work>(
        new BoundedChannelOptions(NbdLimits.ServerWorkers) { SingleWriter = true });

    public NbdTransmission(Stream stream, NbdInput input, ChosenExport export, ILogger logger)
    {
        _input = input;
        _export = export;
        _logger = logger;
        _replies = new NbdReplyWriter(stream, export.StructuredReplies);
        _executor = new NbdExecutor(export, _replies);
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        // Waits at the channel end with it: cancelling them would hand the waiters to the thread pool (docs/decisions/determinism.md).
        using CancellationTokenRegistration atStop = stop.Token.Register(() => _work.Writer.TryComplete());
        Task[] loops = new Task[NbdLimits.ServerWorkers + 1];
        for (int worker = 0; worker < NbdLimits.ServerWorkers; worker++)
        {
            loops[worker] = StopAllOnFaultAsync(WorkAsync(stop.Token), stop);
        }

        loops[^1] = StopAllOnFaultAsync(ReadRequestsAsync(stop.Token), stop);
        try
        {
            await FirstFault(loops);
        }
        finally
        {
            while (_work.Reader.TryRead(out Work left))
            {
                left.Dispose();
            }
        }
    }

    private static async Task StopAllOnFaultAsync(Task loop, CancellationTokenSource stop)
    {
        try
        {
            await loop;
        }
        catch
        {
            stop.Cancel();
            throw;
        }
    }

    /// <summary>Waits for all; throws what went wrong first, not the cancellations that followed from it.</summary>
    private static async Task FirstFault(Task[] loops)
    {
        Task all = Task.WhenAll(loops);
        try
        {
            await all;
        }
        catch (Exception) when (all.Exception?.InnerExceptions.FirstOrDefault(e => e is not OperationCanceledException) is { } cause)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(cause);
        }
    }

    private async Task ReadRequestsAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadOnlyMemory<byte> start = await _input.TryTakeAsync(RequestHeader.SizeBytes, cancellationToken);
            if (start.IsEmpty)
            {
                break; // Without a goodbye, but between requests: nothing is half done.
            }

            RequestHeader request = RequestHeader.Read(start.Span);
            if (request.Magic != NbdProtocol.RequestMagic)
            {
                throw new NbdPeerException($"a request with magic {request.Magic:x}");
            }

            if (request.Command == NbdCommand.Disconnect)
            {
                break;
            }

            await AcceptAsync(request, cancellationToken);
        }

        _work.Writer.TryComplete(); // The workers finish what was asked.
    }

    /// <summary>Takes the request's payload off the stream, whatever becomes of the request, so that the stream stays in step.</summary>
    private async ValueTask AcceptAsync(RequestHeader request, CancellationToken cancellationToken)
    {
        bool isWrite = request.Command == NbdCommand.Write;
        if (isWrite && request.Length > NbdLimits.MaxPayloadBytes)
        {
            throw new NbdPeerException($"a write of {request.Length} bytes; at most {NbdLimits.MaxPayloadBytes} were offered");
        }

        (NbdError error, string? why) = RequestRules.Check(request, _export);
        if (error != NbdError.None)
        {
            Log.Refused(_logger, request.Command, request.Offset, request.Length, error, why);
            await _input.SkipAsync(isWrite ? request.Length : 0, cancellationToken);
            await _replies.ErrorAsync(request.Cookie, error, why, cancellationToken);
            return;
        }

        int payloadBytes = request.Command is NbdCommand.Read or NbdCommand.Write ? (int)request.Length : 0;
        await _budget.TakeAsync(payloadBytes, cancellationToken);
        Work work = new(request, payloadBytes, isWrite);
        try
        {
            await _input.FillAsync(work.WritePayload, cancellationToken);
            await _work.Writer.WriteAsync(work, CancellationToken.None);
        }
        catch (ChannelClosedException)
        {
            work.Dispose();
            throw new OperationCanceledException(cancellationToken);
        }
        catch
        {
            work.Dispose();
            throw;
        }
    }

    private async Task WorkAsync(CancellationToken cancellationToken)
    {
        while (await _work.Reader.WaitToReadAsync(CancellationToken.None))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!_work.Reader.TryRead(out Work work))
            {
                continue; // Another worker was faster.
            }

            try
            {
                await _executor.ExecuteAsync(work.Request, work.Buffer, cancellationToken);
            }
            catch (StorageException fault)
            {
                NbdError error = NbdFault.ToError(fault);
                Log.Failed(_logger, work.Request.Command, work.Request.Offset, work.Request.Length, error, fault);
                await _replies.ErrorAsync(work.Request.Cookie, error, fault.Message, cancellationToken);
            }
            finally
            {
                work.Dispose();
                _budget.Give(work.PayloadBytes);
            }
        }
    }

    /// <summary>A request with its buffer; whoever holds it gives the buffer back, exactly once.</summary>
    private readonly struct Work(RequestHeader request, int payloadBytes, bool isWrite) : IDisposable
    {
        private readonly byte[]? _buffer =
            payloadBytes == 0 ? null : ArrayPool<byte>.Shared.Rent(NbdReplyWriter.DataHeaderBytes + payloadBytes);

        public RequestHeader Request { get; } = request;

        public int PayloadBytes { get; } = payloadBytes;

        /// <summary>Room for a reply's header, then the payload, so that a read is answered by one write to the socket.</summary>
        public Memory<byte> Buffer => _buffer.AsMemory(0, _buffer is null ? 0 : NbdReplyWriter.DataHeaderBytes + PayloadBytes);

        public Memory<byte> WritePayload => isWrite ? Buffer[NbdReplyWriter.DataHeaderBytes..] : default;

        public void Dispose()
        {
            if (_buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(_buffer);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2011, LogLevel.Debug, "NBD {Command} at {Offset} of {Length} refused: {Error}, {Why}")]
        public static partial void Refused(
            ILogger logger, NbdCommand command, ulong offset, uint length, NbdError error, string? why);

        [LoggerMessage(2012, LogLevel.Error, "NBD {Command} at {Offset} of {Length} failed, the client is told {Error}")]
        public static partial void Failed(
            ILogger logger, NbdCommand command, ulong offset, uint length, NbdError error, Exception fault);
    }
}
