using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans.Tests;

/// <summary>Every pair of what the two sides' records can say of one another.</summary>
public sealed class ReunionTests
{
    private static readonly TransferId Mine = new(Guid.NewGuid());
    private static readonly TransferId Other = new(Guid.NewGuid());
    private static readonly RecoveryPointId Parent = new(Line(1), 500);

    [Theory]
    // the source says, the target says, what is owed
    [InlineData("here 1", "elsewhere 1", null)]
    [InlineData("here 1", "here 2", "depose 2")]
    [InlineData("here 3", "here 2", null)] // claimed at the source: the target learns it over replication, and an event says so
    [InlineData("here 1 unsure", "elsewhere 1", "revalidate True")]
    [InlineData("here 1 unsure", "elsewhere 2", "revalidate False")]
    [InlineData("here 1 unsure", "here 2", "depose 2")]
    [InlineData("here 1 unsure", "offered 3", "accept 3")]
    [InlineData("offered 1", "elsewhere 1", null)] // the job offers it, and only the job
    [InlineData("offered 1", "here 2 took", "hand over 2")]
    [InlineData("offered 1", "here 2", "depose 2")] // another failover came first
    [InlineData("elsewhere 2", "here 2", null)]
    [InlineData("elsewhere 2", "offered 3", "accept 3")]
    [InlineData("here 1", "offered 3", "accept 3")] // it never heard of the failover that was cancelled
    [InlineData("here 3", "offered 3", "settle")]
    [InlineData("elsewhere 2", "here 2 unsure", "revalidate target True")]
    [InlineData("offered 1", "here 2 unsure", "depose 2")]
    [InlineData("here 1 unsure", "here 2 unsure", "depose 2")]
    [InlineData("here 3", "here 2 unsure", "revalidate target False")] // claimed at the source while the target slept
    [InlineData("here 3 unsure", "here 2 unsure", "revalidate target False")]
    [InlineData("elsewhere 2", "elsewhere 2", null)]
    [InlineData("here 3", "elsewhere 3", null)]
    public void Each_side_is_told_what_the_others_record_says(string source, string target, string? owed) =>
        Assert.Equal(owed, Words(Reunion.Of(Read(source, Mine), Read(target, Mine))));

    [Theory]
    // the source's last report, the target says, what the target is owed
    [InlineData("here 1", "here 2 unsure", "revalidate target True")] // cut off when it was failed over, and not heard since
    [InlineData("elsewhere 2", "here 2 unsure", "revalidate target True")]
    [InlineData("offered 1", "here 2 unsure", "revalidate target True")]
    [InlineData("here 3", "here 2 unsure", null)] // the newest news are of a claim there
    [InlineData("here 1", "here 2", null)]
    [InlineData("here 1", "elsewhere 1", null)]
    [InlineData("elsewhere 2", "offered 3", null)]
    public void A_target_that_has_booted_is_answered_also_while_its_source_is_away(string lastKnown, string target, string? owed) =>
        Assert.Equal(owed, Words(Reunion.WithoutSource(Read(lastKnown, Mine), Read(target, Mine))));

    [Theory]
    // the source says, the target's last report, what the source is owed
    [InlineData("here 1", "here 2", "depose 2")] // its agent is stopped for an upgrade, and the VM runs on there
    [InlineData("here 1", "here 2 unsure", "depose 2")]
    [InlineData("here 1 unsure", "here 2", "depose 2")]
    [InlineData("here 3", "here 2", null)]
    [InlineData("here 1", "elsewhere 1", null)]
    [InlineData("here 1 unsure", "elsewhere 1", null)] // it may have been failed over since
    [InlineData("here 1", "offered 3", null)] // and this taken back
    [InlineData("offered 1", "here 2 took", null)]
    [InlineData("elsewhere 2", "here 2", null)]
    public void A_source_that_has_been_taken_over_hears_it_also_while_its_target_is_away(string source, string lastKnown, string? owed) =>
        Assert.Equal(owed, Words(Reunion.WithoutTarget(Read(source, Mine), Read(lastKnown, Mine))));

    private static string? Words(Owed? owed) => owed switch
    {
        Owed.Depose deposed => $"depose {deposed.Line.Counter}",
        Owed.HandOver taken => $"hand over {taken.Line.Counter}",
        Owed.Accept offer => $"accept {offer.Line.Counter}",
        Owed.Settle => "settle",
        Owed.Revalidate asked => $"revalidate {asked.Valid}",
        Owed.RevalidateTarget asked => $"revalidate target {asked.Valid}",
        null => null,
        _ => throw new System.Diagnostics.UnreachableException($"{owed}"),
    };

    [Fact]
    public void Nothing_is_owed_on_the_word_of_one_side_alone()
    {
        Assert.Null(Reunion.Of(null, Read("here 2", Mine)));
        Assert.Null(Reunion.Of(Read("here 1 unsure", Mine), null));
        Assert.Null(Reunion.WithoutSource(null, Read("here 2 unsure", Mine)));
        Assert.Null(Reunion.WithoutTarget(Read("here 1", Mine), null));
    }

    private static OwnershipInfo Read(string text, TransferId transfer)
    {
        string[] words = text.Split(' ');
        Assert.True(EnumWords<OwnershipState>.TryParse(words[0], out OwnershipState state), text);
        bool took = words.Length == 3 && words[2] == "took";
        return new OwnershipInfo(
            state,
            Line(uint.Parse(words[1], null)),
            Reports.Noon,
            state == OwnershipState.Offered || took ? transfer : Other,
            null,
            Parent,
            Validated: !(words.Length == 3 && words[2] == "unsure"));
    }

    private static LineId Line(uint counter) => new(counter, counter);
}
