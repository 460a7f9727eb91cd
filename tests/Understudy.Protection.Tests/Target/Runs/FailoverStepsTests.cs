using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Definition;
using Understudy.Protection.Target.Hosting;
using Understudy.Protection.Target.Runs;

namespace Understudy.Protection.Tests.Target.Runs;

/// <summary>The table of steps, every row of it.</summary>
public sealed class FailoverStepsTests
{
    public static TheoryData<FailoverStep> Steps => [.. Enum.GetValues<FailoverStep>()];

    [Theory]
    [MemberData(nameof(Steps))]
    public void A_step_that_goes_on_by_itself_leads_to_one_that_rests_or_to_nothing(FailoverStep step)
    {
        foreach (FailoverLeave? leave in (FailoverLeave?[])[null, ToSource, ToPoint])
        {
            FailoverRecord? record = Record(step) with { Leave = leave };
            if (FailoverSteps.Rule(step).Course == StepCourse.Undone)
            {
                record = FailoverSteps.After(record); // Nothing fell: its work is done.
            }

            for (int steps = 0; record is not null && FailoverSteps.Rule(record.Step).Course == StepCourse.Forward; steps++)
            {
                Assert.True(steps < Enum.GetValues<FailoverStep>().Length, $"{step} goes round");
                record = FailoverSteps.After(record);
            }

            Assert.True(record is null || FailoverSteps.Rule(record.Step).Course == StepCourse.Rests);
        }
    }

    [Fact]
    public void Leaving_ends_with_nothing_for_the_source_and_with_the_next_point_otherwise()
    {
        Assert.Equal(FailoverStep.GivingBack, FailoverSteps.After(Record(FailoverStep.Keeping) with { Leave = ToSource })!.Step);
        Assert.Null(FailoverSteps.After(Record(FailoverStep.GivingBack) with { Leave = ToSource }));
        FailoverRecord next = FailoverSteps.After(Record(FailoverStep.Keeping) with { Leave = ToPoint })!;
        Assert.Equal((FailoverStep.TakingOver, ToPoint.Next!.Id), (next.Step, next.Id));
        Assert.Null(next.Leave);
    }

    [Fact]
    public void The_base_is_only_ever_opened_for_less_as_a_commit_goes_on()
    {
        BaseAccess before = BaseAccess.ReadWrite;
        for (FailoverStep step = FailoverStep.Applying; step <= FailoverStep.Committed; step++)
        {
            BaseAccess now = FailoverSteps.Rule(step).Base;
            Assert.True(now >= before, $"{step} opens the base as {now} after {before}");
            before = now;
        }

        Assert.Equal(BaseAccess.None, before);
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public void Who_can_still_read_views_has_a_base_that_is_open(FailoverStep step)
    {
        StepRule rule = FailoverSteps.Rule(step);
        Assert.False(rule.GuestOnViews && rule.Base == BaseAccess.None);
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public void Every_step_is_on_the_pages(FailoverStep step)
    {
        string pages = Page("docs/protocols/failover.md") + Page("docs/protocols/commit.md");
        Assert.Contains($"`{step}`", pages, StringComparison.Ordinal);
        Assert.Contains($"`{step}`", Page("docs/formats/run-state.md"), StringComparison.Ordinal);
    }

    private static FailoverLeave ToSource { get; } = new(
        FailoverStep.Running, 7, Next: null, new GiveBack(new TransferId(Guid.AllBitsSet), Guid.Empty, new LineId(3, 3), new RecoveryPointId(new LineId(1, 1), 9)));

    private static FailoverLeave ToPoint { get; } = new(FailoverStep.Running, 7, Record(FailoverStep.Preparing) with { Id = Guid.AllBitsSet }, Back: null);

    private static FailoverRecord Record(FailoverStep step) => new(
        Guid.Empty, Transfer: null, FromTest: null, new RecoveryPointId(new LineId(1, 1), 5), DateTimeOffset.UnixEpoch, new LineId(2, 2), "web1", "understudy-since-1", [], [],
        VmSize.AsInPoint, 7, Label: null, DateTimeOffset.UnixEpoch, step);

    private static string Page(string path)
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Understudy.slnx")))
        {
            folder = folder.Parent;
        }

        return File.ReadAllText(Path.Combine(folder?.FullName ?? throw new InvalidOperationException("not inside a checkout"), path));
    }
}
