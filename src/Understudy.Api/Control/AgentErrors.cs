using Understudy.Blocks;
using Understudy.Model;

namespace Understudy.Api.Control;

/// <summary>What an agent says when a request did not come to its handler, or its handler threw.</summary>
public static class AgentErrors
{
    public static AgentError TooManyRequests { get; } = new(
        new ErrorInfo(ErrorKind.Failed, "agent-busy", "The agent is busy", "It works on as many requests as it takes at a time.", "Try again in a moment."),
        FaultClass.Transient);

    public static AgentError UnknownMethod(string method) => new(
        new ErrorInfo(ErrorKind.Refused, "agent-too-old", $"The agent does not know {method}", "Its version is older than the vault's.", "Bring the agent to the vault's version."),
        FaultClass.NeedsOperator);

    public static AgentError Unreadable(string method, string why) => new(
        new ErrorInfo(ErrorKind.Failed, "request-unreadable", $"The agent could not read {method}", why, "Bring vault and agent to the same version."),
        FaultClass.NeedsOperator);

    public static AgentError Cancelled { get; } = new(
        new ErrorInfo(ErrorKind.Failed, "cancelled", "The operation was cancelled", "The vault asked for it.", "Retry the job to go on."),
        FaultClass.NeedsOperator);

    /// <summary>An exception of a handler, in the words of the channel.</summary>
    public static AgentError From(Exception fault) => fault switch
    {
        ErrorException own => new AgentError(own.Error, FaultClass.NeedsOperator),
        UnderstudyException known => new AgentError(
            new ErrorInfo(ErrorKind.Failed, CodeOf(known), known.Message, WhyOf(known.Class), known.Remedy ?? "See the agent's log."),
            known.Class),
        _ => new AgentError(
            new ErrorInfo(ErrorKind.Failed, "agent-fault", "The agent ran into a fault of its own", fault.Message, "See the agent's log, and report it."),
            FaultClass.Fatal),
    };

    private static string CodeOf(UnderstudyException fault) => fault switch
    {
        StorageException { Kind: FaultKind.Full } => "no-space",
        StorageException storage => $"storage-{EnumText(storage.Kind)}",
        _ => "agent-refused",
    };

    private static string WhyOf(FaultClass faultClass) => faultClass switch
    {
        FaultClass.Transient => "It may pass by itself.",
        FaultClass.NeedsOperator => "Somebody has to act.",
        _ => "Going on could damage the replica.",
    };

#pragma warning disable CA1308 // codes are lower case
    private static string EnumText(FaultKind kind) => kind.ToString().ToLowerInvariant();
#pragma warning restore CA1308
}
