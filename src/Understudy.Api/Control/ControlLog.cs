using Microsoft.Extensions.Logging;

namespace Understudy.Api.Control;

internal static partial class ControlLog
{
    [LoggerMessage(1, LogLevel.Debug, "A control message was not sent: {Why}")]
    public static partial void NotSent(ILogger logger, string why);

    [LoggerMessage(2, LogLevel.Information, "Connected to the vault at {Url}")]
    public static partial void Connected(ILogger logger, Uri url);

    [LoggerMessage(3, LogLevel.Warning, "The connection to the vault at {Url} ended: {Why}; trying again in {Pause}")]
    public static partial void Disconnected(ILogger logger, Uri url, string why, TimeSpan pause);

    [LoggerMessage(4, LogLevel.Information, "Operation {Operation}, {Method}, begins")]
    public static partial void OperationBegins(ILogger logger, Model.OperationId operation, string method);

    [LoggerMessage(5, LogLevel.Information, "Operation {Operation}, {Method}, is done")]
    public static partial void OperationDone(ILogger logger, Model.OperationId operation, string method);

    [LoggerMessage(6, LogLevel.Warning, "Operation {Operation}, {Method}, failed: {Error}")]
    public static partial void OperationFailed(ILogger logger, Model.OperationId? operation, string method, string error, Exception fault);

    [LoggerMessage(7, LogLevel.Information, "Operation {Operation}, {Method}, was asked for again: answered with its first outcome")]
    public static partial void OperationRepeated(ILogger logger, Model.OperationId operation, string method);

    [LoggerMessage(8, LogLevel.Warning, "The log of outcomes ended in an incomplete line of {Bytes} bytes, which was cut off")]
    public static partial void OutcomeLogCut(ILogger logger, long bytes);
}
