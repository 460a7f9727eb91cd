using System.Globalization;
using System.Text;

namespace Understudy.Blocks.Identity;

/// <summary>
/// Names of VMs at the target: 1 to 63 letters, digits and hyphens, beginning and ending with a letter or digit. A bad
/// name never blocks: a lawful one is proposed.
/// </summary>
public static class VmNames
{
    public const int MaxLength = 63;

    public static bool IsLawful(string? name) =>
        name is { Length: >= 1 and <= MaxLength }
        && char.IsAsciiLetterOrDigit(name[0])
        && char.IsAsciiLetterOrDigit(name[^1])
        && name.All(character => char.IsAsciiLetterOrDigit(character) || character == '-');

    /// <summary>The name itself when lawful, else the nearest lawful one: other characters become hyphens, length is cut.</summary>
    public static string Propose(string name)
    {
        StringBuilder lawful = new(name.Length);
        foreach (char character in name)
        {
            if (char.IsAsciiLetterOrDigit(character))
            {
                lawful.Append(character);
            }
            else if (lawful.Length > 0 && lawful[^1] != '-')
            {
                lawful.Append('-');
            }
        }

        string proposed = Cut(lawful.ToString(), MaxLength);
        return IsLawful(name) ? name : proposed.Length > 0 ? proposed : "vm";
    }

    /// <summary><c>NAME-test</c>, then <c>NAME-test-2</c>, …; the name is shortened where the suffix would not fit.</summary>
    public static string ForTest(string name, int number)
    {
        string suffix = number == 1 ? "-test" : string.Create(CultureInfo.InvariantCulture, $"-test-{number}");
        return Cut(Propose(name), MaxLength - suffix.Length) + suffix;
    }

    /// <summary>The first test name of this VM that is not taken.</summary>
    public static string NextForTest(string name, IReadOnlySet<string> taken)
    {
        for (int number = 1; ; number++)
        {
            string candidate = ForTest(name, number);
            if (!taken.Contains(candidate))
            {
                return candidate;
            }
        }
    }

    /// <summary>The name itself, else <c>NAME-2</c>, <c>NAME-3</c>, …: the first that is not taken; shortened where the number would
    /// not fit.</summary>
    public static string NextFree(string name, IReadOnlyCollection<string> taken)
    {
        string candidate = name;
        for (int number = 2; taken.Contains(candidate); number++)
        {
            string suffix = string.Create(CultureInfo.InvariantCulture, $"-{number}");
            candidate = Cut(name, MaxLength - suffix.Length) + suffix;
        }

        return candidate;
    }

    private static string Cut(string name, int length) => name[..Math.Min(name.Length, length)].TrimEnd('-');
}
