using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Hosting;

namespace Understudy.Protection.Tests.Target.Hosting;

public sealed class ViewExportNameTests
{
    private static readonly RecoveryPointId Point = new(new LineId(3, UInt128.Parse("9f86d081884c7d659a2feaa0c55ad015", System.Globalization.NumberStyles.HexNumber, null)), 1234);

    [Fact]
    public void A_name_says_what_it_shows_and_nothing_else()
    {
        string name = ViewExportName.For(Point, new DiskId(7));
        Assert.Equal("3-9f86d081884c7d659a2feaa0c55ad015.1234.7", name);
        Assert.True(ViewExportName.TryParse(name, out RecoveryPointId point, out DiskId disk));
        Assert.Equal((Point, new DiskId(7)), (point, disk));
        Assert.Equal(name, Uri.EscapeDataString(name));
    }

    [Theory]
    [InlineData("")]
    [InlineData("vda")]
    [InlineData("3-9f86d081884c7d659a2feaa0c55ad015.1234")]
    [InlineData("3-9f86d081884c7d659a2feaa0c55ad015.1234.7.1")]
    [InlineData("3-9f86d081884c7d659a2feaa0c55ad015.01234.7")]
    [InlineData("3-9F86d081884c7d659a2feaa0c55ad015.1234.7")]
    [InlineData("3-9f86d081884c7d659a2feaa0c55ad015.1234.70000")]
    [InlineData("3-9f86d081884c7d659a2feaa0c55ad015.-1.7")]
    public void A_name_from_outside_that_is_not_exactly_ours_is_none(string name) => Assert.False(ViewExportName.TryParse(name, out _, out _));
}
