using Microsoft.Extensions.Logging;

namespace Understudy.Qemu;

internal static partial class Log
{
    [LoggerMessage(8001, LogLevel.Information, "Storage daemon {Name} started as process {ProcessId}, serving {Socket}")]
    public static partial void Started(ILogger logger, string name, int processId, string socket);

    [LoggerMessage(8002, LogLevel.Debug, "Storage daemon {Name} adopted: process {ProcessId} serves what is wanted")]
    public static partial void Adopted(ILogger logger, string name, int processId);

    [LoggerMessage(8003, LogLevel.Information, "Storage daemon {Name} stopped (was process {ProcessId})")]
    public static partial void Stopped(ILogger logger, string name, int processId);

    [LoggerMessage(8004, LogLevel.Warning, "Storage daemon {Name} cannot be protected from the out-of-memory killer: {Reason}")]
    public static partial void NotSpared(ILogger logger, string name, string reason);
}
