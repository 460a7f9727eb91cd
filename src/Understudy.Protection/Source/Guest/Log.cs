using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Source.Guest;

internal static partial class Log
{
    [LoggerMessage(4101, LogLevel.Warning, "VM {Vm}: the guest is not where it should be, and that is tried again: {What}")]
    public static partial void GuestNotBrought(ILogger logger, string vm, string what);

    [LoggerMessage(4102, LogLevel.Information, "VM {Vm}: the guest goes on")]
    public static partial void GuestGoesOn(ILogger logger, string vm);

    [LoggerMessage(4104, LogLevel.Error, "VM {Vm}: {What} has ended by a broken invariant; restart the agent and report this")]
    public static partial void LoopEnded(ILogger logger, string vm, string what, Exception broken);

    [LoggerMessage(4103, LogLevel.Warning, "VM {Vm}: the guest was paused, line {Line} owns the VM elsewhere")]
    public static partial void GuestPaused(ILogger logger, string vm, LineId line);
}
