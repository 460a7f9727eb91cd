using System.Globalization;
using System.Text;

namespace Understudy.Simulation.Machines;

/// <summary>
/// The start hook of a host: judges by the guard's files as they are at that moment, by the rules of the shell script
/// (docs/protocols/guard.md), whether an agent lives or not.
/// </summary>
internal sealed class GuardHook(ModelMachine machine)
{
    public const string Folder = "guard";
    private readonly ModelMachine _machine = machine;

    /// <summary>Told of every VM that is let start, before it does.</summary>
    public Action<ModelDomain> OnAllowed { get; set; } = _ => { };

    /// <summary>Guard files that stand on the host.</summary>
    public IEnumerable<string> Files => _machine.Host.Disk.ListAll(Folder).Select(file => file.Name);

    /// <summary>Why the VM may not be started now; null when it may.</summary>
    public string? Judge(ModelDomain domain)
    {
        string[] paths = [.. DomainXml.Disks(domain.Inactive).Select(d => d.Path)];
        foreach (string name in Files.Where(name => Guid.TryParse(name.AsSpan(Folder.Length + 1), out _)))
        {
            string[] lines = Encoding.UTF8.GetString(_machine.Host.Disk.ReadFile(name) ?? []).Split('\n');
            bool concerns = name == $"{Folder}/{domain.Id}" || lines.Any(line => line.StartsWith("disk ", StringComparison.Ordinal) && paths.Contains(line["disk ".Length..]));
            if (concerns && Judge(lines) is { } denied)
            {
                return denied;
            }
        }

        OnAllowed(domain);
        return null;
    }

    private string? Judge(string[] lines)
    {
        if (lines is not ["understudy-guard 1", .., "end", ""])
        {
            return "the guard's file is damaged";
        }

        if (Value(lines, "state") != "allowed")
        {
            return Value(lines, "reason") ?? "denied";
        }

        if (Value(lines, "boot") == _machine.Boot)
        {
            return null;
        }

        if (Value(lines, "after") is { } after)
        {
            string[] awaited = (Value(lines, "awaited") ?? " ").Split(' ');
            long since = awaited[0] == _machine.Boot ? long.Parse(awaited[1], CultureInfo.InvariantCulture) : 0;
            if (_machine.UpSeconds - since >= long.Parse(after, CultureInfo.InvariantCulture))
            {
                return null;
            }
        }

        return "not yet validated in this boot";
    }

    private static string? Value(string[] lines, string word) =>
        Array.Find(lines, line => line.StartsWith(word + " ", StringComparison.Ordinal))?[(word.Length + 1)..];
}
