using System.Globalization;

namespace Understudy.Model;

/// <summary>Durations as people write them: <c>15s</c>, <c>5min</c>, <c>24h</c>, <c>30d</c>; <c>0</c> is none.</summary>
public static class Durations
{
    private static readonly (string Suffix, long Seconds)[] _units =
        [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

    /// <summary>Nothing here is reckoned further than ten years.</summary>
    private const long LongestSeconds = 3_650 * 86_400L;

    /// <summary>Also accepts <c>m</c> for minutes. Whole numbers only.</summary>
    public static bool TryParse(string? text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        string trimmed = text?.Trim() ?? "";
        if (trimmed == "0")
        {
            return true;
        }

        if (SecondsIn(trimmed, out int digits) is not { } unit
            || !long.TryParse(trimmed.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            || number > LongestSeconds / unit)
        {
            return false;
        }

        duration = TimeSpan.FromSeconds(number * unit);
        return true;
    }

    /// <summary>What is wrong with a text that is no duration.</summary>
    public static string WhyNot(string text) => text.Trim() switch
    {
        ['-', ..] => "a duration is not negative",
        var trimmed when SecondsIn(trimmed, out _) is not null => $"it is longer than {LongestSeconds / 86_400}d",
        _ => "a duration is a whole number with s, min, h or d",
    };

    /// <summary>Of the unit; null where there is no number or no unit.</summary>
    private static long? SecondsIn(string trimmed, out int digits)
    {
        digits = trimmed.TakeWhile(char.IsAsciiDigit).Count();
        string suffix = trimmed[digits..].TrimStart() is "m" ? "min" : trimmed[digits..].TrimStart();
        return digits > 0 && Array.Find(_units, unit => unit.Suffix == suffix) is { Seconds: > 0 and var seconds } ? seconds : null;
    }

    /// <summary>In the largest unit that fits without a remainder.</summary>
    public static string Format(TimeSpan duration)
    {
        long seconds = (long)duration.TotalSeconds;
        foreach ((string suffix, long size) in _units)
        {
            if (seconds != 0 && seconds % size == 0)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{seconds / size}{suffix}");
            }
        }

        return "0";
    }

    /// <summary>For sentences: two digits are enough ("4 min", "1.5 h").</summary>
    public static string Rough(TimeSpan duration) => duration switch
    {
        { TotalSeconds: < 100 } => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, duration.TotalSeconds):0} s"),
        { TotalMinutes: < 100 } => string.Create(CultureInfo.InvariantCulture, $"{duration.TotalMinutes:0} min"),
        { TotalHours: < 48 } => string.Create(CultureInfo.InvariantCulture, $"{duration.TotalHours:0.#} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{duration.TotalDays:0.#} days"),
    };
}
