using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;

namespace Understudy.Protection.Source;

public sealed partial class SourceVm
{
    private static partial class Log
    {
        [LoggerMessage(4001, LogLevel.Information, "VM {Vm}: start finds spool {Spool}, old checkpoint {Old}, new checkpoint {Cut}: {Action}")]
        public static partial void Recovered(
            ILogger logger, VmId vm, SpoolSight spool, CheckpointSight old, CheckpointSight cut, RecoveryAction action);

        [LoggerMessage(4002, LogLevel.Warning, "VM {Vm}: checkpoints cannot be listed: {Why}")]
        public static partial void CannotList(ILogger logger, VmId vm, string why);

        [LoggerMessage(4003, LogLevel.Debug, "VM {Vm}: cut {Checkpoint}, records {First} to {Last}, {Bytes} bytes")]
        public static partial void Cut(ILogger logger, VmId vm, string checkpoint, ulong first, ulong last, long bytes);

        [LoggerMessage(4004, LogLevel.Debug, "VM {Vm}: delivered up to {Last}, {Bytes} bytes, listed {Listed}")]
        public static partial void Delivered(ILogger logger, VmId vm, ulong last, long bytes, bool listed);

        [LoggerMessage(4005, LogLevel.Information, "VM {Vm}: connected, the target holds {Flushed}: {Meaning}")]
        public static partial void Connected(ILogger logger, VmId vm, ulong flushed, Reconciliation meaning);

        [LoggerMessage(4006, LogLevel.Warning, "VM {Vm}: {Step} failed ({Failures} in a row), again in {Pause}: {What}")]
        public static partial void Fault(
            ILogger logger, VmId vm, SourceStep step, int failures, TimeSpan pause, string what, Exception exception);

        [LoggerMessage(4007, LogLevel.Warning, "VM {Vm}: {Kind}: {What}")]
        public static partial void Happened(ILogger logger, VmId vm, SourceEventKind kind, string what);

        [LoggerMessage(4008, LogLevel.Debug, "VM {Vm}: left for the next cut to remove: {What}")]
        public static partial void LeftStray(ILogger logger, VmId vm, string what);

        [LoggerMessage(4009, LogLevel.Information, "VM {Vm}: no such VM here any more, nothing to remove at the hypervisor")]
        public static partial void NothingToClean(ILogger logger, VmId vm);

        [LoggerMessage(4011, LogLevel.Information, "VM {Vm}: the target offers the VM back as line {Line} after point {Parent}, and it is taken")]
        public static partial void TakesOffer(ILogger logger, VmId vm, LineId line, RecoveryPointId parent);

        [LoggerMessage(4012, LogLevel.Information, "VM {Vm}: replication goes on as line {Line}")]
        public static partial void GoesOnAs(ILogger logger, VmId vm, LineId line);

        [LoggerMessage(4013, LogLevel.Information, "VM {Vm}: the disks of the stopped VM were read, records {First} to {Last}, {Bytes} bytes")]
        public static partial void CutStopped(ILogger logger, VmId vm, ulong first, ulong last, long bytes);

        [LoggerMessage(4010, LogLevel.Information, "VM {Vm}: protection ended, nothing of it is left here")]
        public static partial void Unprotected(ILogger logger, VmId vm);
    }
}
