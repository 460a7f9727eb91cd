using Understudy.Blocks;
using Understudy.Blocks.Identity;
using Understudy.Journal;
using Understudy.Journal.Records;
using Understudy.Replication.Receiving;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Tests.Transfer;

public sealed class ReceiverCoreTests
{
    private static readonly LineId Line = new(2, 5);
    private static readonly CurrentLine Current = new(Line);
    private static readonly RecordHeader Header = new() { Kind = RecordKind.Data, Line = Line, Sequence = 9, PayloadBytes = 1000 };

    public static TheoryData<AppendOutcome, RefusalCode?> Outcomes => new()
    {
        { new AppendOutcome.Accepted(), null },
        { new AppendOutcome.Duplicate(), null },
        { new AppendOutcome.Gap(5), RefusalCode.Gap },
        { new AppendOutcome.StaleLine(new LineId(3, 1)), RefusalCode.StaleLine },
        { new AppendOutcome.Diverged(new RecoveryPointId(Line, 4)), RefusalCode.Diverged },
        { new AppendOutcome.Corrupt("x"), RefusalCode.Corrupt },
        { new AppendOutcome.Full("x"), RefusalCode.TargetFull },
        { new AppendOutcome.Closed("x"), RefusalCode.Closed },
    };

    [Theory]
    [MemberData(nameof(Outcomes))]
    public void Every_outcome_of_an_append_has_its_refusal_or_none(AppendOutcome outcome, RefusalCode? code) =>
        Assert.Equal(code, new ReceiverCore(0).Appended(outcome, Header, Current)?.Code);

    /// <summary>"line X does not own this replica: line X does" was said of a VM that was claimed at its source after a commit.</summary>
    [Fact]
    public void A_line_that_is_the_newest_is_never_told_that_it_does_not_own()
    {
        LineId line = new(5, 7);
        Refusal refusal = Refusal.StaleLine(line, new CurrentLine(line));

        Assert.Equal(RefusalCode.Closed, refusal.Code);
        Assert.DoesNotContain("does not own", refusal.What, StringComparison.Ordinal);
        Assert.Contains($"line {line} owns", refusal.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_outcome_there_is_stands_in_the_table() =>
        Assert.Equal(
            typeof(AppendOutcome).GetNestedTypes().Where(t => t.IsSubclassOf(typeof(AppendOutcome))).Select(t => t.Name).Order(),
            Outcomes.Select(row => row.Data.Item1.GetType().Name).Order());

    [Fact]
    public void Gap_names_the_sequence_to_resume_at_and_stale_line_the_current_line()
    {
        ReceiverCore core = new(0);
        Assert.Equal(5u, core.Appended(new AppendOutcome.Gap(5), Header, Current)?.ExpectedSequence);
        Assert.Equal(new LineId(3, 1), core.Appended(new AppendOutcome.StaleLine(new LineId(3, 1)), Header, Current)?.CurrentLine);
    }

    [Fact]
    public void A_stale_source_hears_when_the_current_line_began_and_what_is_offered_to_it()
    {
        CurrentLine current = new(new LineId(3, 1), DateTimeOffset.UnixEpoch.AddDays(1), new LineOffer(new TransferId(Guid.AllBitsSet), new RecoveryPointId(Line, 4)));
        Refusal? refusal = new ReceiverCore(0).Appended(new AppendOutcome.StaleLine(current.Line), Header, current);
        Assert.Equal((current.Line, current.MintedAt, current.Offer), (refusal!.CurrentLine, refusal.MintedAt, refusal.Offer));
    }

    [Fact]
    public void Flush_is_due_by_volume_and_only_accepted_records_count()
    {
        ReceiverCore core = new(0);
        RecordHeader large = Header with { PayloadBytes = ProtocolLimits.RecordPayloadBytes };
        for (int i = 0; i < 100; i++)
        {
            core.Appended(new AppendOutcome.Duplicate(), large, Current);
        }

        Assert.False(core.HasUnflushed);
        int needed = 0;
        while (!core.FlushIsDue)
        {
            core.Appended(new AppendOutcome.Accepted(), large, Current);
            needed++;
        }

        Assert.Equal((ProtocolLimits.FlushEveryBytes + large.RecordBytes - 1) / large.RecordBytes, needed);
    }

    [Fact]
    public void Nothing_is_acknowledged_twice_and_a_replica_that_goes_back_is_a_broken_invariant()
    {
        ReceiverCore core = new(10);
        Assert.Null(core.Flushed(10));
        Assert.Equal(new ControlFrame.Ack(12), core.Flushed(12));
        Assert.Null(core.Flushed(12));
        Assert.Throws<InvariantException>(() => core.Flushed(11));
    }

    [Fact]
    public void Only_the_current_line_is_welcome()
    {
        ControlFrame.Hello hello = new(new ReplicaId(default), new VmId(default), Line, ProtocolFeatures.None);
        Assert.Null(ReceiverCore.JudgeHello(hello, Current));
        Assert.Equal(RefusalCode.StaleLine, ReceiverCore.JudgeHello(hello, new CurrentLine(new LineId(2, 6)))?.Code);
        Assert.Equal(RefusalCode.StaleLine, ReceiverCore.JudgeHello(hello with { Line = LineId.None }, Current)?.Code);
    }
}
