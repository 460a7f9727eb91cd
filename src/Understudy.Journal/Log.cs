using Microsoft.Extensions.Logging;
using Understudy.Blocks.Identity;

namespace Understudy.Journal;

internal static partial class Log
{
    [LoggerMessage(2001, LogLevel.Information, "{Prefix}: recovered {Segments} segments up to sequence {Sequence}")]
    public static partial void Recovered(ILogger logger, string prefix, int segments, ulong sequence);

    [LoggerMessage(2002, LogLevel.Information, "{Segment}: cut at {Offset}, {Bytes} bytes behind it were never acknowledged ({Defect})")]
    public static partial void TailCut(ILogger logger, string segment, long offset, long bytes, string defect);

    [LoggerMessage(2003, LogLevel.Information, "{Segment}: removed, its creation was cut short")]
    public static partial void SegmentDiscarded(ILogger logger, string segment);

    [LoggerMessage(2004, LogLevel.Warning, "{Segment}: its index is damaged and was made again from its records")]
    public static partial void IndexRemade(ILogger logger, string segment);

    [LoggerMessage(2005, LogLevel.Error, "{Segment}: the payload of record {Sequence} at offset {Offset} is damaged; what needs it cannot be read")]
    public static partial void PayloadDamaged(ILogger logger, string segment, ulong sequence, long offset);

    [LoggerMessage(2006, LogLevel.Warning, "{Prefix}: the record of what was acknowledged is damaged; made again, nothing was cut")]
    public static partial void MarkRemade(ILogger logger, string prefix);

    [LoggerMessage(2007, LogLevel.Information, "{File}: removed, the manifest does not know it")]
    public static partial void StrayRemoved(ILogger logger, string file);

    [LoggerMessage(2008, LogLevel.Debug, "{Segment}: sealed with {Records} records, {Bytes} bytes")]
    public static partial void Sealed(ILogger logger, string segment, int records, long bytes);

    [LoggerMessage(2010, LogLevel.Information, "Replica {Replica} of VM {Vm} created on line {Line}")]
    public static partial void Created(ILogger logger, ReplicaId replica, VmId vm, LineId line);

    [LoggerMessage(2011, LogLevel.Information, "Replica {Replica} opened on line {Line}: {Points} points, received up to {Sequence}")]
    public static partial void Opened(ILogger logger, ReplicaId replica, LineId line, int points, ulong sequence);

    [LoggerMessage(2012, LogLevel.Information, "Replica {Replica}: line {Line} minted by {MintedBy} at {Parent}")]
    public static partial void LineMinted(ILogger logger, ReplicaId replica, LineId line, string mintedBy, RecoveryPointId parent);

    [LoggerMessage(2013, LogLevel.Information, "Replica {Replica}: records {First} to {Last} dropped, divergence noted")]
    public static partial void Dropped(ILogger logger, ReplicaId replica, ulong first, ulong last);

    [LoggerMessage(2014, LogLevel.Information, "Replica {Replica}: base is {Stage} now")]
    public static partial void BaseStageReached(ILogger logger, ReplicaId replica, BaseStage stage);

    [LoggerMessage(2015, LogLevel.Information, "Replica {Replica}: no point has disk {Disk} any more, its base image is deleted")]
    public static partial void DiskGone(ILogger logger, ReplicaId replica, DiskId disk);

    [LoggerMessage(2016, LogLevel.Information, "Replica {Replica}: the base begins with a seed; {Bytes} bytes of data were read from it, {Damaged} bytes of them damaged")]
    public static partial void SeedTaken(ILogger logger, ReplicaId replica, long bytes, long damaged);

    [LoggerMessage(2020, LogLevel.Debug, "Replica {Replica}: base moved to {Point}, {Blocks} blocks in {Elapsed}")]
    public static partial void Applied(ILogger logger, ReplicaId replica, RecoveryPointId point, long blocks, TimeSpan elapsed);

    [LoggerMessage(2021, LogLevel.Error, "Replica {Replica}: moving the base to {Point} stopped, it goes on with the next try: {Reason}")]
    public static partial void ApplyStopped(ILogger logger, ReplicaId replica, RecoveryPointId point, string reason);
}
