using System.Globalization;

namespace Understudy.Agent.Guard;

/// <summary>What stands between a start guard and its being asked by libvirt.</summary>
internal enum GuardForce
{
    /// <summary>The libvirtd that runs has asked it.</summary>
    InForce,

    /// <summary>It is in its place, and the libvirtd that runs has not asked it yet.</summary>
    NotSeen,

    /// <summary>libvirt was seen to start a VM without asking it.</summary>
    NotAsked,

    /// <summary>There is no libvirt on this host, or its folder cannot be written.</summary>
    NotInstalled,
}

/// <param name="Problem">Why it is not in force, or what to do; null when it is.</param>
internal sealed record GuardState(GuardForce Force, string? Problem);

/// <summary>
/// Puts the hook into libvirt's folder, and knows whether libvirt calls it. Which files libvirt takes for hooks, and when it
/// looks for them, differs; so nothing is concluded from files. The hook notes which daemon called it
/// (docs/formats/guard.md), and that note counts while that very process lives.
/// </summary>
/// <param name="hooksFolder">libvirt's, usually <c>/etc/libvirt/hooks</c>.</param>
internal sealed class GuardInstaller(string guardFolder, string hooksFolder, HostBoot boot)
{
    public const string DefaultHooksFolder = "/etc/libvirt/hooks";

    /// <summary>Field 22 of /proc/PID/stat, counted after the name, which may hold anything.</summary>
    private const int StartTimeAfterName = 19;

    private const UnixFileMode ForAll = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private string Hook => Path.Combine(hooksFolder, "qemu.d", "understudy");

    private string Caller => Path.Combine(guardFolder, "asked-by");

    /// <summary>Installs the script where it is missing or old. Changes nothing else.</summary>
    public GuardState Install()
    {
        try
        {
            if (!Directory.Exists(Path.GetDirectoryName(hooksFolder)))
            {
                return new GuardState(GuardForce.NotInstalled, $"there is no folder {Path.GetDirectoryName(hooksFolder)}: libvirt is not installed");
            }

            if (!IsInPlace())
            {
                Write(GuardScript.For(guardFolder));
            }

            return Look();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return new GuardState(GuardForce.NotInstalled, e.Message);
        }
    }

    /// <summary>Whether libvirt asks it at this moment; changes nothing in libvirt's folder.</summary>
    public GuardState State()
    {
        try
        {
            return IsInPlace()
                ? Look()
                : new GuardState(GuardForce.NotInstalled, $"{Hook} is missing or was changed; the agent installs it within a minute, see its log");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new GuardState(GuardForce.NotInstalled, e.Message);
        }
    }

    /// <summary>Takes the script away; what libvirt's other hooks are stays.</summary>
    public void Remove()
    {
        string folder = Path.GetDirectoryName(Hook)!; // A path of a file in a folder.
        if (Directory.Exists(guardFolder))
        {
            File.Delete(Caller);
        }

        if (!Directory.Exists(folder))
        {
            return;
        }

        File.Delete(Hook);
        if (!Directory.EnumerateFileSystemEntries(folder).Any())
        {
            Directory.Delete(folder);
        }
    }

    /// <summary>As it was written, and executable: another is no hook to libvirt.</summary>
    private bool IsInPlace() => File.Exists(Hook)
        && File.GetUnixFileMode(Hook).HasFlag(ForAll)
        && File.ReadAllBytes(Hook).AsSpan().SequenceEqual(GuardScript.For(guardFolder));

    private GuardState Look() => File.Exists(Caller) && IsAlive(File.ReadAllText(Caller).Trim())
        ? new GuardState(GuardForce.InForce, null)
        : new GuardState(GuardForce.NotSeen, "libvirt has not asked it since libvirtd was started; the agent tries it out within a minute");

    private void Write(byte[] script)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Hook)!, ForAll); // A path of a file in a folder.
        string unfinished = Path.Combine(hooksFolder, ".understudy.new"); // Not in qemu.d: libvirt runs whatever it finds there.
        File.WriteAllBytes(unfinished, script);
        File.SetUnixFileMode(unfinished, ForAll);
        File.Move(unfinished, Hook, overwrite: true);
    }

    /// <param name="caller">The boot, the process, and the time of its start in ticks.</param>
    private bool IsAlive(string caller) =>
        caller.Split(' ') is [var itsBoot, var process, var start]
        && itsBoot == boot.Id
        && int.TryParse(process, CultureInfo.InvariantCulture, out int id)
        && StartOf(id) == start;

    /// <summary>Null when there is no such process (any more).</summary>
    private static string? StartOf(int process)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{process}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[StartTimeAfterName];
        }
        catch (Exception e) when (e is IOException)
        {
            return null;
        }
    }
}
