using System.Net.WebSockets;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.Vault.Agents;

/// <summary>One connection of one agent, the vault's end. It is in the registry from its hello to its end.</summary>
internal sealed partial class AgentSession : IControlHandler, IDisposable
{
    private static readonly TimeSpan _factsLimit = TimeSpan.FromSeconds(10);

    private readonly AgentRegistry _registry;
    private readonly AgentNews _news;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ControlConnection _connection;
    private readonly CancellationTokenSource _closing = new();
    private bool _greeted;

    public AgentSession(HostId host, WebSocket socket, AgentRegistry registry, AgentNews news, TimeProvider time, ILogger logger)
    {
        Host = host;
        _registry = registry;
        _news = news;
        _time = time;
        _logger = logger;
        _connection = new ControlConnection(socket, this, time, logger);
    }

    public HostId Host { get; }

    public TimeSpan? ClockDifference => _connection.ClockDifference;

    /// <summary>Runs until the connection ends; leaves the registry before it returns.</summary>
    public async Task RunAsync(CancellationToken vaultStops)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(vaultStops, _closing.Token);
        string why = "the connection broke";
        try
        {
            why = await _connection.RunAsync(either.Token);
        }
        finally
        {
            bool wasCurrent = _greeted && _registry.Remove(this);
            Ended(_logger, Host, why);
            if (wasCurrent && !vaultStops.IsCancellationRequested) // a vault that stops is no news of the host
            {
                await _news.OnOfflineAsync(Host, why);
            }
        }
    }

    /// <summary>Ends the connection; of no effect when it has ended already.</summary>
    public void Close()
    {
        try
        {
            _closing.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended between the caller's look into the registry and this call.
        }
    }

    public void Dispose()
    {
        _connection.Dispose();
        _closing.Dispose();
    }

    public Task<AgentReply<TAnswer>> InvokeAsync<TRequest, TAnswer>(
        AgentMethod<TRequest, TAnswer> method, OperationId? operation, TRequest body, Action<ProgressMessage>? progress, CancellationToken cancellationToken) =>
        _connection.InvokeAsync(method, operation, body, progress, cancellationToken);

    public Task RequestCancelAsync(OperationId operation) => _connection.RequestCancelAsync(operation);

    /// <summary>Fresh facts; null when the agent does not give them in time.</summary>
    public async Task<HostFacts?> TryGetFactsAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new(_factsLimit, _time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            AgentReply<HostFactsAnswer> reply = await InvokeAsync(AgentMethods.HostFacts, null, Nothing.Value, null, either.Token);
            return reply is AgentReply<HostFactsAnswer>.Answered { Value.Facts: { } facts } ? facts : null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    Task<ResponseMessage> IControlHandler.AnswerAsync(RequestMessage request, Action<ProgressMessage> progress, CancellationToken connectionEnded) =>
        Task.FromResult(new ResponseMessage(request.Id, null, AgentErrors.UnknownMethod(request.Method))); // agents ask by REST

    void IControlHandler.Cancel(OperationId operation)
    {
        // Agents ask for no operations.
    }

    async ValueTask IControlHandler.OnPushAsync(PushMessage push, CancellationToken connectionEnded)
    {
        if (push.Kind == AgentPushes.Hello.Name)
        {
            await _news.OnHelloAsync(Host, Read(push, AgentPushes.Hello), connectionEnded);
            connectionEnded.ThrowIfCancellationRequested(); // nobody would take it out of the registry again
            _greeted = true;
            _registry.Add(this);
            Connected(_logger, Host);
            await _news.OnOnlineAsync(Host, connectionEnded);
        }
        else if (_greeted)
        {
            await OnNewsAsync(push, connectionEnded);
        }
    }

    private ValueTask OnNewsAsync(PushMessage push, CancellationToken cancellationToken) => push.Kind switch
    {
        _ when push.Kind == AgentPushes.Host.Name => _news.OnFactsAsync(Host, Read(push, AgentPushes.Host), cancellationToken),
        _ when push.Kind == AgentPushes.Inventory.Name => _news.OnInventoryAsync(Host, Read(push, AgentPushes.Inventory), cancellationToken),
        _ when push.Kind == AgentPushes.Source.Name => _news.OnSourceAsync(Host, Read(push, AgentPushes.Source), cancellationToken),
        _ when push.Kind == AgentPushes.Target.Name => _news.OnTargetAsync(Host, Read(push, AgentPushes.Target), cancellationToken),
        _ when push.Kind == AgentPushes.Unavailable.Name => _news.OnUnavailableAsync(Host, Read(push, AgentPushes.Unavailable), cancellationToken),
        _ when push.Kind == AgentPushes.Event.Name => _news.OnEventAsync(Host, Read(push, AgentPushes.Event), cancellationToken),
        _ => ValueTask.CompletedTask, // of a newer agent
    };

    private static T Read<T>(PushMessage push, PushKind<T> kind) =>
        push.Body.Deserialize(kind.Body) ?? throw new JsonException($"the push {kind.Name} is null");

    [LoggerMessage(200, LogLevel.Information, "Agent {Host} is connected")]
    private static partial void Connected(ILogger logger, HostId host);

    [LoggerMessage(201, LogLevel.Information, "The connection of agent {Host} ended: {Why}")]
    private static partial void Ended(ILogger logger, HostId host, string why);
}
