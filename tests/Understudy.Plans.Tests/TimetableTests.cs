using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class TimetableTests
{
    /// <summary>A Wednesday.</summary>
    private static readonly DateTimeOffset Noon = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("none")]
    [InlineData("22:00")]
    [InlineData("sun 03:30, wed 12:00")]
    public void A_timetable_reads_what_it_writes(string text)
    {
        Assert.True(Timetable.TryParse(text, out Timetable times));
        Assert.Equal(text, times.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("25:00")]
    [InlineData("22")]
    [InlineData("someday 22:00")]
    [InlineData("sun 22:00 UTC")]
    [InlineData("22:00,")]
    public void What_is_no_time_of_the_week_is_not_guessed_at(string text)
    {
        Assert.False(Timetable.TryParse(text, out _));
    }

    [Theory]
    [InlineData("12:00", -1, 0, 0)] // due now
    [InlineData("12:00", 0, 60, null)] // that one has been had
    [InlineData("12:00", 0, 1440, 1440)] // a day on
    [InlineData("wed 12:00", -1, 0, 0)]
    [InlineData("thu 12:00", -1, 0, null)]
    [InlineData("tue 12:00", -1, 0, null)]
    [InlineData("wed 12:00", 0, 7 * 1440, 7 * 1440)]
    [InlineData("11:00, 11:30", -120, 0, -30)] // of two that were slept through, the later
    [InlineData("none", -1440, 1440, null)]
    public void Due_is_the_latest_time_since_the_last(string text, int afterMinutes, int untilMinutes, int? dueMinutes)
    {
        Assert.True(Timetable.TryParse(text, out Timetable times));

        Assert.Equal(
            dueMinutes is { } minutes ? Noon.AddMinutes(minutes) : null,
            times.Due(Noon.AddMinutes(afterMinutes), Noon.AddMinutes(untilMinutes)));
    }
}
