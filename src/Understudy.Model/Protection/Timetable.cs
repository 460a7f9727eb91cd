using System.Globalization;

namespace Understudy.Model;

/// <summary>Times of the week, in UTC, as people write them: <c>22:00</c> each day, <c>sun 03:30</c>, several with commas; <c>none</c>.</summary>
public sealed record Timetable
{
    /// <summary>One every half hour of a week is more than anybody reads.</summary>
    public const int MostTimes = 48;

    private const int DaysOfWeek = 7;

    private static readonly string[] _days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    private readonly IReadOnlyList<(DayOfWeek? Day, TimeOnly At)> _times;

    private Timetable(IReadOnlyList<(DayOfWeek? Day, TimeOnly At)> times) => _times = times;

    public static Timetable None { get; } = new([]);

    public static bool TryParse(string? text, out Timetable timetable)
    {
        timetable = None;
        if (text is null or "none" || text.Trim().Length == 0)
        {
            return text is "none";
        }

        List<(DayOfWeek?, TimeOnly)> times = [];
        foreach (string entry in text.Split(',', StringSplitOptions.TrimEntries))
        {
            string[] words = entry.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            int day = words.Length == 2 ? Array.IndexOf(_days, words[0]) : 0;
            if (words.Length is not (1 or 2) || day < 0 || times.Count == MostTimes
                || !TimeOnly.TryParseExact(words[^1], "HH:mm", CultureInfo.InvariantCulture, DateTimeStyles.None, out TimeOnly at))
            {
                return false;
            }

            times.Add((words.Length == 2 ? (DayOfWeek)day : null, at));
        }

        timetable = new Timetable(times);
        return true;
    }

    /// <summary>The latest time of the table that lies after one moment and not after another; null when there is none.</summary>
    public DateTimeOffset? Due(DateTimeOffset after, DateTimeOffset until)
    {
        DateTimeOffset? latest = null;
        foreach ((DayOfWeek? day, TimeOnly at) in _times)
        {
            for (int back = 0; back <= DaysOfWeek; back++)
            {
                DateTimeOffset candidate = new(DateOnly.FromDateTime(until.UtcDateTime).AddDays(-back), at, TimeSpan.Zero);
                if (candidate <= until && (day is null || candidate.DayOfWeek == day))
                {
                    latest = candidate > after && (latest is null || candidate > latest) ? candidate : latest;
                    break; // the table's newest of this entry; older ones are passed already
                }
            }
        }

        return latest;
    }

    public bool Equals(Timetable? other) => other is not null && _times.SequenceEqual(other._times);

    public override int GetHashCode() => _times.Count == 0 ? 0 : HashCode.Combine(_times.Count, _times[0]);

    public override string ToString() => _times.Count == 0
        ? "none"
        : string.Join(", ", _times.Select(time => $"{(time.Day is { } day ? _days[(int)day] + " " : "")}{time.At.ToString("HH:mm", CultureInfo.InvariantCulture)}"));
}
