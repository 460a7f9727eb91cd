using System.Buffers;
using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Understudy.Api.Json;
using Understudy.Blocks;

namespace Understudy.Api.Control;

/// <summary>
/// One end of the control channel, alike on both sides. <see cref="RunAsync"/> is the owner: it reads, keeps the
/// heartbeat, and when it returns nothing of the connection runs any more. Requests of the other side are answered side
/// by side; its pushes are handled one after another in their order. The end of the connection ends no operation: an
/// asker whose answer is <see cref="AgentReply{T}.Lost"/> asks again with the same operation id on the next connection.
/// </summary>
public sealed class ControlConnection : IDisposable
{
    private readonly WebSocket _socket;
    private readonly IControlHandler _handler;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly AsyncGate _sending = new();
    private readonly ConcurrentDictionary<long, PendingRequest> _pending = new();
    private readonly ConcurrentDictionary<long, IncomingRequest> _incoming = new();
    private readonly CancellationTokenSource _ended = new();
    private long _lastId;
    private long _lastHeardAt;

    public ControlConnection(WebSocket socket, IControlHandler handler, TimeProvider time, ILogger logger)
    {
        _socket = socket;
        _handler = handler;
        _time = time;
        _logger = logger;
        _lastHeardAt = time.GetTimestamp();
    }

    /// <summary>The other side's clock minus ours, from the last heartbeat; null before the first.</summary>
    public TimeSpan? ClockDifference { get; private set; }

    /// <summary>Asks, and waits for the answer as long as the connection lives.</summary>
    /// <param name="operation">Required for methods that change things.</param>
    public async Task<AgentReply<TAnswer>> InvokeAsync<TRequest, TAnswer>(
        AgentMethod<TRequest, TAnswer> method,
        Model.OperationId? operation,
        TRequest body,
        Action<ProgressMessage>? progress,
        CancellationToken cancellationToken)
    {
        Invariant.Check(!method.ChangesThings || operation is not null, $"{method.Name} needs an operation id");
        long id = Interlocked.Increment(ref _lastId);
        PendingRequest pending = new(progress);
        _pending[id] = pending;
        try
        {
            RequestMessage request = new(id, operation, method.Name, JsonSerializer.SerializeToElement(body, method.Request));
            if (_ended.IsCancellationRequested || !await TrySendAsync(request))
            {
                return new AgentReply<TAnswer>.Lost();
            }

            using CancellationTokenRegistration registration = cancellationToken.Register(() => pending.Answer.TrySetCanceled(cancellationToken));
            ResponseMessage? response = await pending.Answer.Task;
            return response switch
            {
                null => new AgentReply<TAnswer>.Lost(),
                { Error: { } error } => new AgentReply<TAnswer>.Refused(error),
                { Body: { } answer } => ReadAnswer(method, answer),
                _ => throw new JsonException($"{method.Name} was answered with neither body nor error"),
            };
        }
        finally
        {
            _pending.TryRemove(id, out _);
        }
    }

    /// <summary>Asks the other side to end an operation; the answer to the request itself tells how it ended.</summary>
    public Task RequestCancelAsync(Model.OperationId operation) => TrySendAsync(new CancelMessage(operation));

    /// <summary>False when the connection is gone.</summary>
    public Task<bool> PushAsync<TBody>(PushKind<TBody> kind, TBody body) =>
        TrySendAsync(new PushMessage(kind.Name, JsonSerializer.SerializeToElement(body, kind.Body)));

    public Task<bool> PushAsync(PushMessage push) => TrySendAsync(push);

    /// <summary>Runs until either side closes, the other side is silent for too long, or the token ends it.</summary>
    /// <returns>Why it ended, for the log.</returns>
    public async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<string> reading = ReadAsync(stop.Token);
        Task<string> beating = KeepHeartbeatAsync(stop.Token);
        try
        {
            string why = await await Task.WhenAny(reading, beating);
            return cancellationToken.IsCancellationRequested ? "closed here" : why;
        }
        finally
        {
            await stop.CancelAsync();
            await _ended.CancelAsync();
            _socket.Abort(); // a close handshake could wait for a peer that is gone
            await WaitForEndAsync(Task.WhenAll(reading, beating)); // the first one's fault is on its way out
            foreach (PendingRequest pending in _pending.Values)
            {
                pending.Answer.TrySetResult(null);
            }

            Task answering = Task.WhenAll(_incoming.Values.Select(request => request.Answering));
            await WaitForEndAsync(answering);
            if (answering.IsCompleted)
            {
                await answering;
            }
        }
    }

    /// <summary>After <see cref="RunAsync"/> has returned.</summary>
    public void Dispose()
    {
        if (_incoming.IsEmpty)
        {
            _ended.Dispose(); // else somebody still answers, and finds here that nobody listens
        }
    }

    /// <summary>An answer may hang in what no token ends, a file on a share whose server is gone. It has a thread more, and the host
    /// must not be out of reach because of it: what is left ends by itself, and sends nothing.</summary>
    private async Task WaitForEndAsync(Task ending) =>
        await ending.WaitAsync(ControlLimits.EndLimit, _time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private static AgentReply<TAnswer> ReadAnswer<TRequest, TAnswer>(AgentMethod<TRequest, TAnswer> method, JsonElement answer) =>
        answer.Deserialize(method.Answer) is { } value
            ? new AgentReply<TAnswer>.Answered(value)
            : throw new JsonException($"{method.Name} was answered with null");

    private async Task<string> ReadAsync(CancellationToken stop)
    {
        ArrayBufferWriter<byte> buffer = new(4096);
        try
        {
            while (true)
            {
                buffer.ResetWrittenCount();
                ValueWebSocketReceiveResult part;
                do
                {
                    part = await _socket.ReceiveAsync(buffer.GetMemory(4096), stop);
                    buffer.Advance(part.Count);
                    if (buffer.WrittenCount > ControlLimits.MaxMessageBytes)
                    {
                        return $"the other side sent more than {ControlLimits.MaxMessageBytes} bytes in one message";
                    }
                }
                while (!part.EndOfMessage);
                if (part.MessageType == WebSocketMessageType.Close)
                {
                    return "closed by the other side";
                }

                Interlocked.Exchange(ref _lastHeardAt, _time.GetTimestamp());
                ControlMessage message = JsonSerializer.Deserialize(buffer.WrittenSpan, ApiJson.Default.ControlMessage)
                    ?? throw new JsonException("null is no message");
                await HandleAsync(message, stop);
            }
        }
        catch (OperationCanceledException)
        {
            return "stopped";
        }
        catch (WebSocketException fault)
        {
            return fault.Message;
        }
        catch (Exception fault) when (fault is JsonException or NotSupportedException)
        {
            return $"the other side sent what cannot be read: {fault.Message}";
        }
    }

    private async ValueTask HandleAsync(ControlMessage message, CancellationToken stop)
    {
        switch (message)
        {
            case RequestMessage request:
                Begin(request);
                break;
            case CancelMessage cancel:
                _handler.Cancel(cancel.Operation);
                break;
            case ResponseMessage response when _pending.TryGetValue(response.Id, out PendingRequest? pending):
                pending.Answer.TrySetResult(response);
                break;
            case ProgressMessage progress when _pending.TryGetValue(progress.Id, out PendingRequest? pending):
                pending.Progress?.Invoke(progress);
                break;
            case PushMessage push:
                await _handler.OnPushAsync(push, stop);
                break;
            case PingMessage ping:
                await TrySendAsync(new PongMessage(ping.SentAt, _time.GetUtcNow()));
                break;
            case PongMessage pong:
                DateTimeOffset now = _time.GetUtcNow();
                ClockDifference = pong.Clock - (pong.SentAt + ((now - pong.SentAt) / 2));
                break;
        }
    }

    private void Begin(RequestMessage request)
    {
        IncomingRequest incoming = new();
        if (!_incoming.TryAdd(request.Id, incoming))
        {
            throw new JsonException($"request {request.Id} came twice");
        }

        incoming.Answering = AnswerAsync(request);
    }

    private async Task AnswerAsync(RequestMessage request)
    {
        try
        {
            ResponseMessage response = _incoming.Count > ControlLimits.MaxConcurrentRequests
                ? new ResponseMessage(request.Id, null, AgentErrors.TooManyRequests)
                : await _handler.AnswerAsync(request, progress => _ = TrySendAsync(progress), _ended.Token);
            await TrySendAsync(response);
        }
        catch (OperationCanceledException)
        {
            // The connection ended: the operation goes on and its outcome is kept. Or this side stops: no outcome, and
            // the other side asks again.
        }
        finally
        {
            _incoming.TryRemove(request.Id, out _);
        }
    }

    private async Task<string> KeepHeartbeatAsync(CancellationToken stop)
    {
        using PeriodicTimer timer = new(ControlLimits.PingInterval, _time);
        try
        {
            do
            {
                if (_time.GetElapsedTime(Interlocked.Read(ref _lastHeardAt)) > ControlLimits.SilenceLimit)
                {
                    return $"nothing was heard for {ControlLimits.SilenceLimit.TotalSeconds:0} s";
                }

                _ = TrySendAsync(new PingMessage(_time.GetUtcNow())); // not awaited: a full pipe must not stop the watch on silence
            }
            while (await timer.WaitForNextTickAsync(stop));
        }
        catch (OperationCanceledException)
        {
            // The other loop ended first.
        }

        return "stopped";
    }

    /// <summary>False when the connection is gone. One message at a time goes out, in the order of the calls.</summary>
    private async Task<bool> TrySendAsync(ControlMessage message)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(message, ApiJson.Default.ControlMessage);
        try
        {
            using (await _sending.EnterAsync(_ended.Token))
            {
                await _socket.SendAsync(json.AsMemory(), WebSocketMessageType.Text, endOfMessage: true, _ended.Token);
                return true;
            }
        }
        catch (Exception fault) when (fault is OperationCanceledException or WebSocketException or ObjectDisposedException or InvalidOperationException)
        {
            ControlLog.NotSent(_logger, fault.Message);
            return false;
        }
    }

    private sealed class PendingRequest(Action<ProgressMessage>? progress)
    {
        public TaskCompletionSource<ResponseMessage?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Action<ProgressMessage>? Progress { get; } = progress;
    }

    private sealed class IncomingRequest
    {
        public Task Answering { get; set; } = Task.CompletedTask;
    }
}
