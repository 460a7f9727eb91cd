using Understudy.CommandLine;

namespace Understudy.Tests.CommandLine;

public sealed class TableTests
{
    [Fact]
    public void Columns_are_as_wide_as_their_widest_cell_and_an_empty_cell_is_a_dash()
    {
        StringWriter output = new();
        new Table("name", "state").Row("web1", "protected").Row("a-longer-name", null).WriteTo(output);

        Assert.Equal("NAME           STATE\nweb1           protected\na-longer-name  -\n", output.ToString());
    }

    /// <summary>Each cell of the first column is as wide on a terminal as its heading and two spaces.</summary>
    [Theory]
    [InlineData("服务器")] // three of two columns
    [InlineData("ｗeb")]
    [InlineData("한국-1")]
    [InlineData("u\u0308ber")] // a mark on the character before it
    [InlineData("web🚀1")]
    public void Columns_stand_below_one_another_whatever_the_names_are(string name)
    {
        StringWriter output = new();
        new Table("name-here", "state").Row(name, "protected").WriteTo(output);
        string[] lines = output.ToString().Split('\n');

        Assert.Equal(lines[0].IndexOf("STATE", StringComparison.Ordinal), DisplayWidth.Of(lines[1][..lines[1].IndexOf("protected", StringComparison.Ordinal)]));
        Assert.Equal(name.EnumerateRunes().Sum(rune => rune.Value is 0x308 ? 0 : rune.Value > 0x1000 ? 2 : 1), DisplayWidth.Of(name));
    }

    [Theory]
    [InlineData(0.85, "850 ms")]
    [InlineData(4.24, "4.2 s")]
    [InlineData(200, "3 min 20 s")]
    [InlineData(18720, "5 h 12 min")]
    [InlineData(200_000, "2 d 7 h")]
    public void Durations_are_shown_in_two_units_at_most(double seconds, string text)
    {
        Assert.Equal(text, Show.Seconds(seconds));
    }
}
