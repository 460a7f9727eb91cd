using Microsoft.Extensions.Logging;

namespace Understudy.Libvirt;

/// <summary>Every message of this component. Ids 6000 to 6099.</summary>
internal static partial class Log
{
    [LoggerMessage(6000, LogLevel.Information, "Connected to libvirt at {Uri}")]
    public static partial void Connected(this ILogger logger, string uri);

    [LoggerMessage(6001, LogLevel.Warning, "The connection to libvirt at {Uri} ended ({Reason}); it is opened again")]
    public static partial void Disconnected(this ILogger logger, string uri, string reason);

    [LoggerMessage(6002, LogLevel.Warning, "Libvirt cannot be reached, next try in {Seconds:0.0} s: {Reason}")]
    public static partial void StillUnreachable(this ILogger logger, double seconds, string reason);

    [LoggerMessage(6003, LogLevel.Warning, "A call that nobody waited for any more (\"{What}\") ended well after {Seconds:0.0} s")]
    public static partial void LateEnd(this ILogger logger, string what, double seconds);

    [LoggerMessage(6004, LogLevel.Warning, "A call that nobody waited for any more (\"{What}\") failed after {Seconds:0.0} s")]
    public static partial void LateFailure(this ILogger logger, Exception reason, string what, double seconds);

    [LoggerMessage(6005, LogLevel.Warning, "Libvirt's event loop reported a failure: {Reason}")]
    public static partial void EventLoopFailed(this ILogger logger, string reason);

    [LoggerMessage(6006, LogLevel.Debug, "Size of disk {Disk} of VM {Vm} is not known: {Reason}")]
    public static partial void SizeUnknown(this ILogger logger, string disk, string vm, string reason);

    [LoggerMessage(6007, LogLevel.Debug, "Volume of disk {Disk} ({Source}) is not found: {Reason}")]
    public static partial void VolumeUnknown(this ILogger logger, string disk, string source, string reason);

    [LoggerMessage(6008, LogLevel.Warning, "The storage pools of this host are not known now; what was told last stands: {Reason}")]
    public static partial void PoolsUnknown(this ILogger logger, string reason);

    [LoggerMessage(6010, LogLevel.Warning, "The capture of VM {Vm} was ended early: {Reason}")]
    public static partial void CaptureEndedEarly(this ILogger logger, string vm, string reason);

    [LoggerMessage(6011, LogLevel.Warning, "The capture of VM {Vm} could not be ended and is left for later: {Reason}")]
    public static partial void CaptureLeftBehind(this ILogger logger, string vm, string reason);

    [LoggerMessage(6012, LogLevel.Warning, "Checkpoint {Checkpoint} of VM {Vm} could not be deleted and is left for later: {Reason}")]
    public static partial void CheckpointLeftBehind(this ILogger logger, string checkpoint, string vm, string reason);

    [LoggerMessage(6013, LogLevel.Warning, "The watch over the capture of VM {Vm} met a failure: {Reason}")]
    public static partial void WatchFailed(this ILogger logger, string vm, string reason);

    [LoggerMessage(6014, LogLevel.Warning, "VM {Vm} was found paused by an I/O error after a capture of ours had ended, and was resumed")]
    public static partial void ResumedAfterCapture(this ILogger logger, string vm);
}
