using System.Globalization;

namespace Understudy.Model;

/// <summary>Byte counts as people read them.</summary>
public static class Sizes
{
    private static readonly string[] _units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>A whole number with a unit: <c>2GiB</c>, <c>2 G</c>, <c>512MiB</c>; without one, bytes.</summary>
    public static bool TryParse(string? text, out long bytes)
    {
        bytes = 0;
        string trimmed = text?.Trim() ?? "";
        int digits = trimmed.TakeWhile(char.IsAsciiDigit).Count();
        string unit = trimmed[digits..].TrimStart();
        int power = unit.Length == 0 ? 0 : Array.FindIndex(_units, known => unit == known || unit == known[..1]);
        return digits is > 0 and <= 18 && power >= 0
            && long.TryParse(trimmed.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            && number <= long.MaxValue >> (10 * power)
            && (bytes = number << (10 * power)) >= 0;
    }

    /// <summary>What is wrong with a text that is no size.</summary>
    public static string WhyNot(string text) => text.Trim() switch
    {
        ['-', ..] => "a size is not negative",
        [>= '0' and <= '9', ..] trimmed when _units.Any(unit => trimmed.TrimStart([.. "0123456789 "]) is var rest && (rest.Length == 0 || rest == unit || rest == unit[..1]))
            => "it is more than 8 EiB, which is more than can be counted",
        _ => "it is a whole number with a unit, such as 4GiB",
    };

    public static string Format(long bytes)
    {
        double value = bytes;
        int unit = 0;
        while (Math.Abs(value) >= 1024 && unit < _units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return value.ToString(unit == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " " + _units[unit];
    }
}
