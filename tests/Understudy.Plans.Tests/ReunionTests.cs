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
    [InlineData("elsewhere 2", "elsewhere 2", null)]
    [InlineData("here 3", "elsewhere 3", null)]
    public void Each_side_is_told_what_the_others_record_says(string source, string target, string? owed)
    {
        string? said = Reunion.Of(Read(source, Mine), Read(target, Mine)) switch
        {
            Owed.Depose deposed => $"depose {deposed.Line.Counter}",
            Owed.HandOver taken => $"hand over {taken.Line.Counter}",
            Owed.Accept offer => $"accept {offer.Line.Counter}",
            Owed.Settle => "settle",
            Owed.Revalidate asked => $"revalidate {asked.Valid}",
            _ => null,
        };

        Assert.Equal(owed, said);
    }

    [Fact]
    public void Nothing_is_owed_on_the_word_of_one_side_alone()
    {
        Assert.Null(Reunion.Of(null, Read("here 2", Mine)));
        Assert.Null(Reunion.Of(Read("here 1 unsure", Mine), null));
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
