using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Ownership;

internal static partial class Log
{
    [LoggerMessage(6501, LogLevel.Information, "VM {Vm}: ownership by line {Line}: {State}")]
    public static partial void OwnershipChanged(ILogger logger, string vm, LineId line, OwnershipState state);
}
