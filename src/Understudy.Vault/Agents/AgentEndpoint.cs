using System.Globalization;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Understudy.Api.Control;
using Understudy.Model;
using Understudy.Vault.Backup;
using Understudy.Vault.Rest;
using Understudy.Vault.Security;

namespace Understudy.Vault.Agents;

/// <summary>Where agents dial in. The certificate has been checked; the request lives as long as the connection.</summary>
internal sealed partial class AgentEndpoint(
    AgentRegistry registry, AgentNews news, VaultMarks marks, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<AgentSession> logger)
{
    public async Task RunAsync(HttpContext context)
    {
        if (!context.WebSockets.IsWebSocketRequest || !context.WebSockets.WebSocketRequestedProtocols.Contains(ControlLimits.Subprotocol))
        {
            string offered = string.Join(", ", context.WebSockets.WebSocketRequestedProtocols);
            await Problems.WriteAsync(context, context.WebSockets.IsWebSocketRequest
                ? Errors.VersionMismatch("The agent", offered, ControlLimits.Subprotocol)
                : Errors.BadRequest($"this address takes WebSockets of the protocol {ControlLimits.Subprotocol}"));
            return;
        }

        HostId host = context.User.AgentHost();
        context.Response.Headers[ControlLimits.GenerationHeader] = (await marks.GenerationAsync(context.RequestAborted)).ToString(CultureInfo.InvariantCulture);
        context.Response.Headers[ControlLimits.VersionHeader] = VaultServer.Version;
        using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync(ControlLimits.Subprotocol);
        using AgentSession session = new(host, socket, registry, news, time, logger);
        try
        {
            await session.RunAsync(lifetime.ApplicationStopping);
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            Broke(logger, host, fault); // the agent dials again
        }
    }

    [LoggerMessage(202, LogLevel.Error, "The connection of agent {Host} broke")]
    private static partial void Broke(ILogger logger, HostId host, Exception fault);
}
