using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>
/// The agent's side of requests. An operation runs once: asked for again while it runs, the asker joins it; asked for
/// again after it, also after a restart, the first outcome is the answer. Only a stop of the agent leaves an operation
/// without an outcome; asked for again it runs again, so handlers go on from what they find.
/// </summary>
public sealed class AgentOperations : IControlHandler, IAsyncDisposable
{
    private readonly Dictionary<string, Handler> _handlers = new(StringComparer.Ordinal);
    private readonly Dictionary<OperationId, RunningOperation> _running = [];
    private readonly Lock _lock = new(); // guards _running
    private readonly OutcomeLog _outcomes;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();

    public AgentOperations(OutcomeLog outcomes, ILogger logger)
    {
        _outcomes = outcomes;
        _logger = logger;
    }

    private delegate Task<JsonElement> Handler(JsonElement body, OperationContext context, CancellationToken cancellationToken);

    /// <summary>Registers the handler of a method; once each, before the first connection.</summary>
    public void On<TRequest, TAnswer>(
        AgentMethod<TRequest, TAnswer> method,
        Func<TRequest, OperationContext, CancellationToken, Task<TAnswer>> handler) =>
        _handlers.Add(method.Name, async (body, context, cancellationToken) =>
        {
            TRequest request = body.Deserialize(method.Request) ?? throw new JsonException("the body is null");
            return JsonSerializer.SerializeToElement(await handler(request, context, cancellationToken), method.Answer);
        });

    public async Task<ResponseMessage> AnswerAsync(RequestMessage request, Action<ProgressMessage> progress, CancellationToken connectionEnded)
    {
        Outcome outcome = request.Operation is { } operation
            ? await RunOnceAsync(request, operation, progress, connectionEnded)
            : await RunAsync(request, new OperationContext(null), connectionEnded);
        return new ResponseMessage(request.Id, outcome.Body, outcome.Error);
    }

    public void Cancel(OperationId operation)
    {
        lock (_lock)
        {
            if (_running.TryGetValue(operation, out RunningOperation? running))
            {
                running.Stop.Cancel();
            }
        }
    }

    public ValueTask OnPushAsync(PushMessage push, CancellationToken connectionEnded) => ValueTask.CompletedTask; // the vault sends none

    /// <summary>Ends the operations that run, and waits until they have ended.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        Task[] running;
        lock (_lock)
        {
            running = [.. _running.Values.Select(operation => operation.Task)];
        }

        await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    private async Task<Outcome> RunOnceAsync(
        RequestMessage request, OperationId operation, Action<ProgressMessage> progress, CancellationToken connectionEnded)
    {
        void Forward(double? fraction, string text) => progress(new ProgressMessage(request.Id, fraction, text));

        if (_outcomes.Find(operation) is { } first)
        {
            ControlLog.OperationRepeated(_logger, operation, request.Method);
            return first;
        }

        RunningOperation running;
        lock (_lock)
        {
            if (!_running.TryGetValue(operation, out running!)) // set on the next lines when absent
            {
                running = new RunningOperation(CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token), new OperationContext(operation));
                running.Task = RunAndKeepAsync(request, operation, running);
                _running[operation] = running;
            }
        }

        running.Context.Listeners[request.Id] = Forward;
        try
        {
            return await running.Task.WaitAsync(connectionEnded);
        }
        finally
        {
            running.Context.Listeners.TryRemove(request.Id, out _);
        }
    }

    private async Task<Outcome> RunAndKeepAsync(RequestMessage request, OperationId operation, RunningOperation running)
    {
        await Task.Yield(); // not under the lock of the caller
        ControlLog.OperationBegins(_logger, operation, request.Method);
        try
        {
            // An outcome can have been kept between the caller's look and its turn in the lock.
            Outcome outcome = _outcomes.Find(operation) ?? await RunAsync(request, running.Context, running.Stop.Token);
            if (await TryKeepAsync(operation, request.Method, outcome) is { } notKept)
            {
                return notKept;
            }

            if (outcome.Error is null)
            {
                ControlLog.OperationDone(_logger, operation, request.Method);
            }

            return outcome;
        }
        finally
        {
            lock (_lock)
            {
                _running.Remove(operation);
            }

            running.Stop.Dispose();
        }
    }

    /// <summary>Null when it is kept. An outcome that is not durable is not told as one: whoever asks again with the same
    /// identity finds the operation's own traces, as after a crash.</summary>
    private async Task<Outcome?> TryKeepAsync(OperationId operation, string method, Outcome outcome)
    {
        try
        {
            await _outcomes.KeepAsync(operation, outcome, CancellationToken.None);
            return null;
        }
        catch (StorageException fault)
        {
            ControlLog.OperationFailed(_logger, operation, method, fault.Message, fault);
            return new Outcome(null, AgentErrors.From(fault));
        }
    }

    /// <summary>Throws only when the agent stops. A fault of a handler becomes its answer: the component that broke has stopped itself.</summary>
    private async Task<Outcome> RunAsync(RequestMessage request, OperationContext context, CancellationToken cancellationToken)
    {
        if (!_handlers.TryGetValue(request.Method, out Handler? handler))
        {
            return new Outcome(null, AgentErrors.UnknownMethod(request.Method));
        }

        try
        {
            return new Outcome(await handler(request.Body, context, cancellationToken), null);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            _stopping.Token.ThrowIfCancellationRequested();
            return new Outcome(null, AgentErrors.Cancelled);
        }
        catch (JsonException fault)
        {
            return new Outcome(null, AgentErrors.Unreadable(request.Method, fault.Message));
        }
        catch (Exception fault)
        {
            ControlLog.OperationFailed(_logger, context.Operation, request.Method, fault.Message, fault);
            return new Outcome(null, AgentErrors.From(fault));
        }
    }

    private sealed class RunningOperation(CancellationTokenSource stop, OperationContext context)
    {
        public CancellationTokenSource Stop { get; } = stop;

        public OperationContext Context { get; } = context;

        public Task<Outcome> Task { get; set; } = null!; // set before the object is published
    }
}

/// <summary>What a handler knows of the operation beside its body.</summary>
public sealed class OperationContext(OperationId? operation)
{
    internal ConcurrentDictionary<long, Action<double?, string>> Listeners { get; } = new();

    /// <summary>Null for a question.</summary>
    public OperationId? Operation { get; } = operation;

    /// <summary>Tells whoever waits. Costs nothing when nobody does.</summary>
    /// <param name="fraction">0 to 1; null when unknown.</param>
    public void Report(double? fraction, string text)
    {
        foreach (Action<double?, string> listener in Listeners.Values)
        {
            listener(fraction, text);
        }
    }
}

/// <summary>How an operation ended. Exactly one of the two is set.</summary>
public sealed record Outcome(JsonElement? Body, AgentError? Error);
