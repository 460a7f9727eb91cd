using System.Text;
using Understudy.Replication.Wire;

namespace Understudy.Replication.Tests.Wire;

public sealed class BannerTests
{
    [Fact]
    public void Banner_is_one_readable_line() =>
        Assert.Equal("UNDERSTUDY 1 0.1.0\n", Encoding.ASCII.GetString(new Banner(1, "0.1.0").Encode()));

    [Fact]
    public void Banner_of_another_version_is_still_read() =>
        Assert.Equal(new Banner(7, "9.9.9-rc.1 (test)"), Banner.TryParse("UNDERSTUDY 7 9.9.9-rc.1 (test)"u8));

    [Theory]
    [InlineData("")]
    [InlineData("SSH-2.0-OpenSSH_9.2p1")]
    [InlineData("UNDERSTUDY")]
    [InlineData("UNDERSTUDY 1")]
    [InlineData("UNDERSTUDY 1 ")]
    [InlineData("UNDERSTUDY one 0.1.0")]
    [InlineData("UNDERSTUDY -1 0.1.0")]
    [InlineData("UNDERSTUDY 99999999999 0.1.0")]
    [InlineData("understudy 1 0.1.0")]
    [InlineData("UNDERSTUDY 1 0.1\u0007")]
    public void Line_that_is_no_banner_is_not_taken_for_one(string line) =>
        Assert.Null(Banner.TryParse(Encoding.ASCII.GetBytes(line)));

    [Fact]
    public void Software_version_that_would_break_the_line_is_not_written()
    {
        Assert.Throws<ArgumentException>(() => new Banner(1, "0.1\n").Encode());
        Assert.Throws<ArgumentException>(() => new Banner(1, new string('x', ProtocolLimits.BannerBytes)).Encode());
    }
}
