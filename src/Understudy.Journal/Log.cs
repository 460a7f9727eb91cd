using Microsoft.Extensions.Logging;

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
}
