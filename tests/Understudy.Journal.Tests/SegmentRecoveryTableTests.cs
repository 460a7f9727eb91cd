using Understudy.Journal.Segments;

namespace Understudy.Journal.Tests;

/// <summary>The table of docs/formats/segment.md, "Recovery", written a second time, as rows, and walked completely.</summary>
public sealed class SegmentRecoveryTableTests
{
    private static readonly Row[] Rows =
    [
        new("missing within", SegmentVerdict.RefuseMissing, c => c is { File: FoundFile.Missing, Last: false }),
        new("missing, acknowledged", SegmentVerdict.RefuseMissing, c => c is { File: FoundFile.Missing, Last: true, Place: FoundPlace.Acknowledged }),
        new("missing after the last", SegmentVerdict.End, c => c is { File: FoundFile.Missing, Last: true, Place: FoundPlace.Beyond }),
        new("creation cut short", SegmentVerdict.Discard, c => c is { File: FoundFile.BrokenHeader, Last: true, Place: FoundPlace.Beyond, Trust: MarkTrust.Certain }),
        new("header broken, mark doubtful", SegmentVerdict.RefuseCorrupt, c => c is { File: FoundFile.BrokenHeader, Last: true, Place: FoundPlace.Beyond, Trust: MarkTrust.Doubtful }),
        new("header broken, acknowledged", SegmentVerdict.RefuseCorrupt, c => c is { File: FoundFile.BrokenHeader, Last: true, Place: FoundPlace.Acknowledged }),
        new("header broken within", SegmentVerdict.RefuseCorrupt, c => c is { File: FoundFile.BrokenHeader, Last: false }),
        new("foreign", SegmentVerdict.RefuseForeign, c => c.File == FoundFile.Foreign),
        new("later version", SegmentVerdict.RefuseLaterVersion, c => c.File == FoundFile.LaterVersion),
        new("sealed within", SegmentVerdict.Use, c => c is { File: FoundFile.Sealed, Last: false }),
        new("index damaged, records whole", SegmentVerdict.Reindex, c => c is { File: FoundFile.Unsealed, Last: false, Break: FoundBreak.None }),
        new("index and records damaged", SegmentVerdict.RefuseCorrupt, c => c is { File: FoundFile.Unsealed, Last: false } && c.Break != FoundBreak.None),
        new("last, whole", SegmentVerdict.Use, c => c is { Last: true, Break: FoundBreak.None } && c.IsReadable),
        new("last, torn", SegmentVerdict.Cut, c => c is { Last: true, Break: FoundBreak.AfterMark, Trust: MarkTrust.Certain } && c.IsReadable),
        new("last, torn or damaged", SegmentVerdict.RefuseCorrupt, c => c is { Last: true, Break: FoundBreak.AfterMark, Trust: MarkTrust.Doubtful } && c.IsReadable),
        new("last, damaged", SegmentVerdict.RefuseCorrupt, c => c is { Last: true, Break: FoundBreak.BeforeMark } && c.IsReadable),
    ];

    [Fact]
    public void Every_combination_of_facts_matches_exactly_one_row_and_its_verdict()
    {
        int combinations = 0;
        HashSet<Row> used = [];
        foreach (Case c in AllCases())
        {
            Row row = Assert.Single(Rows, r => r.Applies(c));
            Assert.Equal(row.Verdict, SegmentRecoveryTable.Decide(c.File, c.Place, c.Last, c.Trust, c.Break));
            used.Add(row);
            combinations++;
        }

        Assert.Equal(6 * 2 * 2 * 2 * 3, combinations);
        Assert.Equal(Rows.Length, used.Count);
    }

    [Fact]
    public void Nothing_acknowledged_is_ever_cut_or_discarded()
    {
        foreach (Case c in AllCases())
        {
            SegmentVerdict verdict = SegmentRecoveryTable.Decide(c.File, c.Place, c.Last, c.Trust, c.Break);
            if (verdict is SegmentVerdict.Cut or SegmentVerdict.Discard or SegmentVerdict.End)
            {
                Assert.True(c.Last);
                Assert.True(verdict == SegmentVerdict.End || c.Trust == MarkTrust.Certain);
                Assert.True(verdict == SegmentVerdict.Cut ? c.Break == FoundBreak.AfterMark : c.Place == FoundPlace.Beyond);
            }
        }
    }

    [Fact]
    public void Records_are_walked_only_where_the_verdict_depends_on_them()
    {
        foreach (Case c in AllCases())
        {
            IEnumerable<SegmentVerdict> verdicts = Enum.GetValues<FoundBreak>()
                .Select(b => SegmentRecoveryTable.Decide(c.File, c.Place, c.Last, c.Trust, b)).Distinct();
            Assert.Equal(verdicts.Count() > 1, SegmentRecoveryTable.NeedsScan(c.File, c.Last));
        }
    }

    private static IEnumerable<Case> AllCases() =>
        from file in Enum.GetValues<FoundFile>()
        from place in Enum.GetValues<FoundPlace>()
        from last in (bool[])[false, true]
        from trust in Enum.GetValues<MarkTrust>()
        from broken in Enum.GetValues<FoundBreak>()
        select new Case(file, place, last, trust, broken);

    private sealed record Case(FoundFile File, FoundPlace Place, bool Last, MarkTrust Trust, FoundBreak Break)
    {
        public bool IsReadable => File is FoundFile.Sealed or FoundFile.Unsealed;
    }

    private sealed record Row(string Name, SegmentVerdict Verdict, Func<Case, bool> Applies);
}
