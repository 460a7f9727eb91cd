using System.Globalization;
using Understudy.Model;

namespace Understudy.CommandLine;

/// <summary>Values as people read them in tables.</summary>
internal static class Show
{
    public static string Time(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static string? Time(DateTimeOffset? at) => at is { } time ? Time(time) : null;

    /// <summary>"850 ms", "4.2 s", "3 min 20 s", "5 h 12 min": two units at most.</summary>
    public static string Seconds(double seconds) => seconds switch
    {
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1000:0} ms"),
        < 60 => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s"),
        < 3600 => string.Create(CultureInfo.InvariantCulture, $"{(int)seconds / 60} min {(int)seconds % 60} s"),
        < 86400 => string.Create(CultureInfo.InvariantCulture, $"{(int)seconds / 3600} h {(int)seconds % 3600 / 60} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(int)(seconds / 86400)} d {(int)seconds % 86400 / 3600} h"),
    };

    public static string? Seconds(double? seconds) => seconds is { } value ? Seconds(value) : null;

    public static string Bytes(long bytes) => Sizes.Format(bytes);

    public static string? Bytes(long? bytes) => bytes is { } value ? Sizes.Format(value) : null;

    public static string Percent(double fraction) => string.Create(CultureInfo.InvariantCulture, $"{fraction * 100:0} %");

    public static string YesNo(bool value) => value ? "yes" : "no";

    /// <summary>"name:  value" lines, the values in one column.</summary>
    public static void Facts(TextWriter writer, params (string Name, string? Value)[] facts)
    {
        int width = facts.Max(f => f.Name.Length) + 2;
        foreach ((string name, string? value) in facts)
        {
            writer.WriteLine($"{(name + ":").PadRight(width)} {value ?? "-"}");
        }
    }
}
