using System.Text.Json;
using System.Text.Json.Serialization;
using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>
/// One message of the control channel (docs/protocols/control.md): a WebSocket text message holding one JSON object.
/// Members that a reader does not know are skipped; a "type" it does not know ends the connection.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(RequestMessage), "request")]
[JsonDerivedType(typeof(ProgressMessage), "progress")]
[JsonDerivedType(typeof(ResponseMessage), "response")]
[JsonDerivedType(typeof(CancelMessage), "cancel")]
[JsonDerivedType(typeof(PushMessage), "push")]
[JsonDerivedType(typeof(PingMessage), "ping")]
[JsonDerivedType(typeof(PongMessage), "pong")]
public abstract record ControlMessage;

/// <param name="Id">Pairs the answer with the question; unique on one connection.</param>
/// <param name="Operation">Identity of the command across connections and restarts; null for a question that changes nothing.</param>
public sealed record RequestMessage(long Id, OperationId? Operation, string Method, JsonElement Body) : ControlMessage;

/// <param name="Fraction">0 to 1; null when unknown.</param>
public sealed record ProgressMessage(long Id, double? Fraction, string Text) : ControlMessage;

/// <summary>Exactly one of the two is set.</summary>
public sealed record ResponseMessage(long Id, JsonElement? Body, AgentError? Error) : ControlMessage;

/// <summary>The asker no longer wants it: the agent ends the operation where that leaves things whole, and answers.</summary>
public sealed record CancelMessage(OperationId Operation) : ControlMessage;

/// <summary>News that nobody asked for. Unknown kinds are skipped.</summary>
public sealed record PushMessage(string Kind, JsonElement Body) : ControlMessage;

public sealed record PingMessage(DateTimeOffset SentAt) : ControlMessage;

/// <param name="SentAt">As in the ping.</param>
/// <param name="Clock">The answering side's clock.</param>
public sealed record PongMessage(DateTimeOffset SentAt, DateTimeOffset Clock) : ControlMessage;

/// <summary>An agent's no. The class says whether trying again can help.</summary>
public sealed record AgentError(ErrorInfo Error, FaultClass Class);

/// <summary>Numbers that bound the channel.</summary>
public static class ControlLimits
{
    /// <summary>WebSocket subprotocol; a new version offers both.</summary>
    public const string Subprotocol = "understudy.control.1";

    /// <summary>Header of a refused connection: the error's code.</summary>
    public const string ErrorHeader = "Understudy-Error";

    /// <summary>Headers of a connection that is taken: how often the vault has been restored, and its version.</summary>
    public const string GenerationHeader = "Understudy-Generation";
    public const string VersionHeader = "Understudy-Version";

    /// <summary>Where the vault takes agents in.</summary>
    public const string Path = "/agent";

    /// <summary>An inventory of some ten thousand VMs; a longer message ends the connection.</summary>
    public const int MaxMessageBytes = 16 << 20;

    /// <summary>Requests one side works on at a time; more are refused as transient.</summary>
    public const int MaxConcurrentRequests = 256;

    public static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(5);

    /// <summary>Without any message for so long, the other side is gone.</summary>
    public static readonly TimeSpan SilenceLimit = TimeSpan.FromSeconds(15);

    /// <summary>What is being answered when a connection ends has so long to notice; what hangs is left behind.</summary>
    public static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(5);
}
