using System.Globalization;
using System.Text;

namespace Understudy.Protection.Target.Definition;

/// <summary>The rule for names of VMs at the target (CFG-6): 1 to 63 letters, digits, hyphens; begins and ends with a
/// letter or digit. A bad name never blocks: a lawful one is proposed.</summary>
public static class VmNames
{
    public const int MaxLength = 63;

    public static bool IsLawful(string name) =>
        name.Length is >= 1 and <= MaxLength
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '-')
        && name[0] != '-'
        && name[^1] != '-';

    /// <summary>The name itself when it is lawful, otherwise the nearest lawful one.</summary>
    public static string Propose(string name)
    {
        StringBuilder lawful = new(name.Length);
        foreach (char c in name)
        {
            if (char.IsAsciiLetterOrDigit(c))
            {
                lawful.Append(c);
            }
            else if (lawful.Length > 0 && lawful[^1] != '-')
            {
                lawful.Append('-');
            }
        }

        string trimmed = Shorten(lawful.ToString(), MaxLength);
        return IsLawful(name) ? name : trimmed.Length == 0 ? "vm" : trimmed;
    }

    /// <summary><c>web1-test</c>, <c>web1-test-2</c>, …: the VM's name is shortened so that the whole fits.</summary>
    /// <param name="number">From 1.</param>
    public static string ForTest(string vmName, int number)
    {
        string suffix = number == 1 ? "-test" : string.Create(CultureInfo.InvariantCulture, $"-test-{number}");
        return Shorten(Propose(vmName), MaxLength - suffix.Length) + suffix;
    }

    /// <summary>The first test name of this VM that is not taken.</summary>
    public static string NextForTest(string vmName, IReadOnlySet<string> taken)
    {
        for (int number = 1; ; number++)
        {
            string name = ForTest(vmName, number);
            if (!taken.Contains(name))
            {
                return name;
            }
        }
    }

    private static string Shorten(string name, int length) =>
        (name.Length <= length ? name : name[..length]).Trim('-');
}
