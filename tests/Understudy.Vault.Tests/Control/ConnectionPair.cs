using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Api.Control;
using Understudy.Testing;

namespace Understudy.Vault.Tests.Control;

/// <summary>Two ends of a control channel over a real socket on loopback; the clock stands unless a test moves it.</summary>
internal sealed class ConnectionPair : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();

    private ConnectionPair(WebSocket vaultSocket, WebSocket agentSocket, IControlHandler vault, IControlHandler? agent)
    {
        AgentSocket = agentSocket;
        Vault = new ControlConnection(vaultSocket, vault, Time, NullLogger.Instance);
        VaultRuns = Vault.RunAsync(_stop.Token);
        Agent = agent is null ? null : new ControlConnection(agentSocket, agent, Time, NullLogger.Instance);
        AgentRuns = Agent?.RunAsync(_stop.Token) ?? Task.FromResult("no agent");
    }

    public ManualTime Time { get; } = new();

    public ControlConnection Vault { get; }

    public Task<string> VaultRuns { get; }

    public ControlConnection? Agent { get; }

    public Task<string> AgentRuns { get; }

    /// <summary>For a peer that does not keep to the protocol.</summary>
    public WebSocket AgentSocket { get; }

    /// <param name="agent">Null: the test plays the agent on <see cref="AgentSocket"/>.</param>
    public static async Task<ConnectionPair> ConnectAsync(IControlHandler? agent)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        TcpClient dialled = new();
        await dialled.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        TcpClient accepted = await listener.AcceptTcpClientAsync();
        return new ConnectionPair(Wrap(accepted, isServer: true), Wrap(dialled, isServer: false), new Deaf(), agent);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await VaultRuns;
        await AgentRuns;
        Vault.Dispose();
        Agent?.Dispose();
        AgentSocket.Dispose();
        _stop.Dispose();
    }

    private static WebSocket Wrap(TcpClient client, bool isServer) =>
        WebSocket.CreateFromStream(client.GetStream(), new WebSocketCreationOptions { IsServer = isServer, KeepAliveInterval = TimeSpan.Zero });

    private sealed class Deaf : IControlHandler
    {
        public Task<ResponseMessage> AnswerAsync(RequestMessage request, Action<ProgressMessage> progress, CancellationToken connectionEnded) =>
            Task.FromResult(new ResponseMessage(request.Id, null, AgentErrors.UnknownMethod(request.Method)));

        public void Cancel(Model.OperationId operation)
        {
        }

        public ValueTask OnPushAsync(PushMessage push, CancellationToken connectionEnded) => ValueTask.CompletedTask;
    }
}
