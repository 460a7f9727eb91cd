namespace Understudy.Model;

/// <summary>Commands in what people are told to do next, as a shell takes them: libvirt lets VMs, networks and pools have names with
/// spaces and quotes in them, and names that begin as options do.</summary>
public static class Typed
{
    private const string Plain = "@%+=:,./-_";

    /// <summary>`understudy COMMAND NAME OPTIONS`, in backticks.</summary>
    public static string Command(string command, string name, string options = "") => $"`{Line($"understudy {command}", name, options)}`";

    /// <summary>A name that would be taken for an option comes last, behind "--".</summary>
    public static string Line(string command, string name, string options = "")
    {
        string rest = options.Length == 0 ? "" : $" {options}";
        return name.StartsWith('-') ? $"{command}{rest} -- {Word(name)}" : $"{command} {Word(name)}{rest}";
    }

    /// <summary>One word of a shell.</summary>
    public static string Word(string text) => text.Length > 0 && text.All(letter => char.IsAsciiLetterOrDigit(letter) || Plain.Contains(letter, StringComparison.Ordinal))
        ? text
        : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
