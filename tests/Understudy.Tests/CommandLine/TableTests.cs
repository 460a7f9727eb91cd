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
