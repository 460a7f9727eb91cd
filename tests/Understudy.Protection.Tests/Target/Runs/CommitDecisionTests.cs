using Understudy.Protection.Ports;
using Understudy.Protection.Target.Runs;
using static Understudy.Protection.Target.Runs.DiskMove;
using static Understudy.Protection.Target.Runs.DiskPlace;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>Walks every combination of live place, place of the next start, and block job; each must be in exactly one
/// row of the tables below.</summary>
public sealed class CommitDecisionTests
{
    private static readonly DiskPlace?[] LivePlaces = [null, OnOverlay, OnSecondOverlay, OnBase, Elsewhere, Missing];
    private static readonly DiskPlace[] NextPlaces = [OnOverlay, OnSecondOverlay, OnBase, Elsewhere, Missing];

    private static readonly BlockJobFacts?[] Jobs =
    [
        null,
        .. from kind in Enum.GetValues<BlockJobKind>()
           from ready in (bool[])[false, true]
           select new BlockJobFacts(kind, 1, 2, ready),
    ];

    private static readonly Row[] CopyRows =
    [
        new("running on the overlay, no job", StartCopy, (live, _, job) => live == OnOverlay && job is null),
        new("our copy under way", Wait, (live, _, job) => live == OnOverlay && job is { Kind: BlockJobKind.Copy, Ready: false }),
        new("our copy has caught up", Pivot, (live, _, job) => live == OnOverlay && job is { Kind: BlockJobKind.Copy, Ready: true }),
        new("another job on the overlay", WaitForForeignJob, (live, _, job) => live == OnOverlay && job is { Kind: not BlockJobKind.Copy }),
        new("moved, definition too", Done, (live, next, _) => live is OnSecondOverlay or OnBase && next == live),
        new("moved, definition about to follow", Wait, (live, next, _) => live is OnSecondOverlay or OnBase && next != live),
        new("somebody moved the running disk", Stop, (live, _, _) => live is Elsewhere or Missing),
        new("off, still on the overlay", WaitForStart, (live, next, _) => live is null && next == OnOverlay),
        new("off, already moved", Done, (live, next, _) => live is null && next is OnSecondOverlay or OnBase),
        new("off, somewhere else", Stop, (live, next, _) => live is null && next is Elsewhere or Missing),
    ];

    private static readonly Row[] MergeRows =
    [
        new("running on the second overlay, no job", StartMerge, (live, _, job) => live == OnSecondOverlay && job is null),
        new("our commit under way", Wait, (live, _, job) => live == OnSecondOverlay && job is { Kind: BlockJobKind.ActiveCommit, Ready: false }),
        new("our commit has caught up", Pivot, (live, _, job) => live == OnSecondOverlay && job is { Kind: BlockJobKind.ActiveCommit, Ready: true }),
        new("another job on the second overlay", WaitForForeignJob, (live, _, job) => live == OnSecondOverlay && job is { Kind: not BlockJobKind.ActiveCommit }),
        new("on the base, definition too", Done, (live, next, _) => live == OnBase && next == OnBase),
        new("on the base, definition about to follow", Wait, (live, next, _) => live == OnBase && next != OnBase),
        new("running where its view has ended", Stop, (live, _, _) => live is OnOverlay or Elsewhere or Missing),
        new("off, on the base", Done, (live, next, _) => live is null && next == OnBase),
        new("off, not yet merged", WaitForStart, (live, next, _) => live is null && next == OnSecondOverlay),
        new("off, anywhere else", Stop, (live, next, _) => live is null && next is OnOverlay or Elsewhere or Missing),
    ];

    [Fact]
    public void Copy_follows_its_table_in_every_combination() => Walk(CopyRows, CommitDecision.Copy);

    [Fact]
    public void Merge_follows_its_table_in_every_combination() => Walk(MergeRows, CommitDecision.Merge);

    private static void Walk(Row[] rows, Func<DiskPlace?, DiskPlace, BlockJobFacts?, DiskMove> decide)
    {
        HashSet<string> used = [];
        foreach (DiskPlace? live in LivePlaces)
        {
            foreach (DiskPlace next in NextPlaces)
            {
                foreach (BlockJobFacts? job in Jobs)
                {
                    Row row = Assert.Single(rows, row => row.Applies(live, next, job));
                    Assert.True(row.Move == decide(live, next, job), $"{row.Case}: live {live}, next {next}, job {job}");
                    used.Add(row.Case);
                }
            }
        }

        Assert.Equal(rows.Length, used.Count);
    }

    private sealed record Row(string Case, DiskMove Move, Func<DiskPlace?, DiskPlace, BlockJobFacts?, bool> Applies);
}
