using System.Net.Sockets;
using System.Net.WebSockets;
using Understudy.Agent;
using Understudy.Api.Control;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>
/// The agent of this host, asked over its socket. A connection that ends before the answer is made anew, and the same
/// operation asked for again: what was done is answered, not done twice.
/// </summary>
internal sealed class LocalAgent(string socketPath, ILogger logger)
{
    /// <summary>An agent that is started anew opens its socket within seconds.</summary>
    private static readonly TimeSpan ReturnLimit = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan GreetingTime = TimeSpan.FromSeconds(10);

    /// <param name="dataFolder">Of the agent; its configuration says where the socket is.</param>
    public static async Task<LocalAgent> FindAsync(string dataFolder, ILogger logger, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(dataFolder))
        {
            throw new ErrorException(AgentIdentity.NotJoined(dataFolder));
        }

        try
        {
            return new LocalAgent((await AgentConfig.ReadAsync(dataFolder, cancellationToken)).LocalSocket, logger);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or Blocks.UnderstudyException)
        {
            throw new ErrorException(Errors.BadValue("--data", dataFolder, e.Message), e);
        }
    }

    /// <exception cref="ErrorException">No agent answers, or it said no.</exception>
    public async Task<TAnswer> AskAsync<TRequest, TAnswer>(
        AgentMethod<TRequest, TAnswer> method, TRequest body, Action<ProgressMessage>? progress, CancellationToken cancellationToken)
    {
        OperationId? operation = method.ChangesThings ? new OperationId(Guid.NewGuid()) : null;
        bool asked = false;
        long lostAt = 0;
        while (true)
        {
            try
            {
                switch (await AskOnceAsync(method, operation, body, progress, cancellationToken))
                {
                    case AgentReply<TAnswer>.Answered answered:
                        return answered.Value;
                    case AgentReply<TAnswer>.Refused refused:
                        throw new ErrorException(refused.Error.Error);
                }

                (asked, lostAt) = (true, TimeProvider.System.GetTimestamp());
            }
            catch (ErrorException e) when (asked && e.Error.Code == "agent-not-running" && TimeProvider.System.GetElapsedTime(lostAt) < ReturnLimit)
            {
                await Task.Delay(LookEvery, TimeProvider.System, cancellationToken);
            }
        }
    }

    private async Task<AgentReply<TAnswer>> AskOnceAsync<TRequest, TAnswer>(
        AgentMethod<TRequest, TAnswer> method, OperationId? operation, TRequest body, Action<ProgressMessage>? progress, CancellationToken cancellationToken)
    {
        await using Stream stream = await DialAsync(cancellationToken);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(GreetingTime);
        using WebSocket socket = await GreetAsync(stream, limit.Token);
        using ControlConnection connection = new(socket, new NoOrders(), TimeProvider.System, logger);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<string> running = connection.RunAsync(stop.Token);
        try
        {
            return await connection.InvokeAsync(method, operation, body, progress, cancellationToken);
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }
    }

    private async Task<WebSocket> GreetAsync(Stream stream, CancellationToken limit)
    {
        try
        {
            return await LocalChannel.ConnectAsync(stream, limit);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            throw new ErrorException(Errors.AgentNotRunning(socketPath, "it took the connection and said nothing"), e);
        }
    }

    private async Task<Stream> DialAsync(CancellationToken cancellationToken)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new ErrorException(Errors.AgentNotRunning(socketPath, File.Exists(socketPath) ? e.Message : "there is no such socket"), e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>An agent asks its command line for nothing.</summary>
    private sealed class NoOrders : IControlHandler
    {
        public Task<ResponseMessage> AnswerAsync(RequestMessage request, Action<ProgressMessage> progress, CancellationToken connectionEnded) =>
            Task.FromResult(new ResponseMessage(request.Id, null, AgentErrors.UnknownMethod(request.Method)));

        public void Cancel(OperationId operation)
        {
            // None runs here.
        }

        public ValueTask OnPushAsync(PushMessage push, CancellationToken connectionEnded) => ValueTask.CompletedTask;
    }
}
