using System.Globalization;

namespace Understudy.Model;

/// <summary>Durations as people write them: <c>15s</c>, <c>5min</c>, <c>24h</c>, <c>30d</c>; <c>0</c> is none.</summary>
public static class Durations
{
    private static readonly (string Suffix, long Seconds)[] _units =
        [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

    /// <summary>Also accepts <c>m</c> for minutes. Whole numbers only.</summary>
    public static bool TryParse(string? text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        if (string.IsNullOrWhiteSpace(text))
        {
            return false;
        }

        string trimmed = text.Trim();
        if (trimmed == "0")
        {
            return true;
        }

        int digits = 0;
        while (digits < trimmed.Length && char.IsAsciiDigit(trimmed[digits]))
        {
            digits++;
        }

        string suffix = trimmed[digits..].TrimStart() is "m" ? "min" : trimmed[digits..].TrimStart();
        if (digits is 0 or > 9 || Array.Find(_units, unit => unit.Suffix == suffix) is not { Seconds: > 0 } unit)
        {
            return false;
        }

        duration = TimeSpan.FromSeconds(long.Parse(trimmed.AsSpan(0, digits), CultureInfo.InvariantCulture) * unit.Seconds);
        return true;
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
