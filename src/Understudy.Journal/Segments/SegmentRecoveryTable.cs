using System.Diagnostics;

namespace Understudy.Journal.Segments;

/// <summary>What was found where a segment should be.</summary>
internal enum FoundFile
{
    Missing,
    BrokenHeader,

    /// <summary>Whole, but another replica's, or with another number, line or first sequence than belongs here.</summary>
    Foreign,
    LaterVersion,

    /// <summary>Trailer and fences are whole.</summary>
    Sealed,

    /// <summary>No trailer, or a damaged one.</summary>
    Unsealed,
}

/// <summary>Where the segment stands to the mark of what was acknowledged.</summary>
internal enum FoundPlace
{
    /// <summary>Its number is the mark's or smaller: all or some of it was acknowledged.</summary>
    Acknowledged,

    /// <summary>Its number is larger: nothing in it was.</summary>
    Beyond,
}

/// <summary>Where a scan of the records ended.</summary>
internal enum FoundBreak
{
    None,
    BeforeMark,
    AfterMark,
}

internal enum SegmentVerdict
{
    Use,

    /// <summary>Use, with an index made by the scan.</summary>
    Reindex,

    /// <summary>Use up to the break and cut the rest: it was never acknowledged.</summary>
    Cut,

    /// <summary>Delete the file: its creation was cut short.</summary>
    Discard,

    /// <summary>The log ended with the segment before.</summary>
    End,
    RefuseMissing,
    RefuseCorrupt,
    RefuseForeign,
    RefuseLaterVersion,
}

/// <summary>The recovery of one segment as a decision table (docs/formats/segment.md, "Recovery").</summary>
internal static class SegmentRecoveryTable
{
    /// <summary>Whether the records have to be walked before anything can be decided.</summary>
    public static bool NeedsScan(FoundFile file, bool last) =>
        file == FoundFile.Unsealed || (file == FoundFile.Sealed && last);

    public static SegmentVerdict Decide(FoundFile file, FoundPlace place, bool last, MarkTrust trust, FoundBreak found) => file switch
    {
        FoundFile.Missing => last && place == FoundPlace.Beyond ? SegmentVerdict.End : SegmentVerdict.RefuseMissing,
        FoundFile.BrokenHeader => last && place == FoundPlace.Beyond && trust == MarkTrust.Certain
            ? SegmentVerdict.Discard
            : SegmentVerdict.RefuseCorrupt,
        FoundFile.Foreign => SegmentVerdict.RefuseForeign,
        FoundFile.LaterVersion => SegmentVerdict.RefuseLaterVersion,
        FoundFile.Sealed when !last => SegmentVerdict.Use,
        FoundFile.Unsealed when !last => found == FoundBreak.None ? SegmentVerdict.Reindex : SegmentVerdict.RefuseCorrupt,
        FoundFile.Sealed or FoundFile.Unsealed => found switch
        {
            FoundBreak.None => SegmentVerdict.Use,
            FoundBreak.BeforeMark => SegmentVerdict.RefuseCorrupt,
            FoundBreak.AfterMark => trust == MarkTrust.Certain ? SegmentVerdict.Cut : SegmentVerdict.RefuseCorrupt,
            _ => throw new UnreachableException(),
        },
        _ => throw new UnreachableException(),
    };
}
