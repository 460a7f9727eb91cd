using System.Globalization;

namespace Understudy.Agent.Guard;

/// <summary>What stands between a start guard and its being asked by libvirt.</summary>
internal enum GuardForce
{
    /// <summary>libvirt asks it at every start.</summary>
    InForce,

    /// <summary>libvirt had no hooks when it was started, so it looks for none: it must be restarted once.</summary>
    AfterRestart,

    /// <summary>There is no libvirt on this host, or its folder cannot be written.</summary>
    NotInstalled,
}

/// <param name="Problem">Why it is not installed, or what to do; null when it is in force.</param>
internal sealed record GuardState(GuardForce Force, string? Problem);

/// <summary>
/// Puts the hook into libvirt's folder, and knows whether libvirt looks there. It does so only when there was any hook at its
/// own start; so the moment at which the first one came is kept, and compared with the start of the daemon that runs.
/// </summary>
/// <param name="hooksFolder">libvirt's, usually <c>/etc/libvirt/hooks</c>.</param>
/// <param name="libvirtRunFolder">Where libvirt's daemons leave their process ids, usually <c>/run</c>.</param>
internal sealed class GuardInstaller(string guardFolder, string hooksFolder, string libvirtRunFolder, HostBoot boot)
{
    public const string DefaultHooksFolder = "/etc/libvirt/hooks";
    public const string DefaultRunFolder = "/run";

    /// <summary>Clock ticks of /proc in a second: the same on every Linux.</summary>
    private const int TicksPerSecond = 100;

    /// <summary>Field 22 of /proc/PID/stat, counted after the name, which may hold anything.</summary>
    private const int StartTimeAfterName = 19;

    private const string MarkerName = "libvirt-had-no-hooks";
    private static readonly string[] _daemons = ["virtqemud.pid", "libvirtd.pid"];

    private string Hook => Path.Combine(hooksFolder, "qemu.d", "understudy");

    private string Marker => Path.Combine(guardFolder, MarkerName);

    /// <summary>Installs the script where it is missing or old. Changes nothing else.</summary>
    public GuardState Install()
    {
        try
        {
            if (!Directory.Exists(Path.GetDirectoryName(hooksFolder)))
            {
                return new GuardState(GuardForce.NotInstalled, $"there is no folder {Path.GetDirectoryName(hooksFolder)}: libvirt is not installed");
            }

            byte[] script = GuardScript.For(guardFolder);
            if (!File.Exists(Hook) || !File.ReadAllBytes(Hook).AsSpan().SequenceEqual(script))
            {
                NoteFirstHook();
                Write(script);
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
            return File.Exists(Hook)
                ? Look()
                : new GuardState(GuardForce.NotInstalled, $"{Hook} is missing; the agent installs it within minutes, see its log");
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
            File.Delete(Marker);
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

    private GuardState Look()
    {
        if (!File.Exists(Marker))
        {
            return new GuardState(GuardForce.InForce, null);
        }

        string[] noted = File.ReadAllText(Marker).Split(' ');
        bool isOfThisBoot = noted.Length == 2 && noted[0] == boot.Id;
        if (!isOfThisBoot || !double.TryParse(noted[1], CultureInfo.InvariantCulture, out double at) || StartOfDaemon() is not { } started || started > at)
        {
            File.Delete(Marker);
            return new GuardState(GuardForce.InForce, null);
        }

        return new GuardState(
            GuardForce.AfterRestart,
            "libvirtd was started before its first hook was installed and looks for none; restart it once (systemctl restart libvirtd), running VMs are not touched");
    }

    private void NoteFirstHook()
    {
        bool any = File.Exists(Path.Combine(hooksFolder, "qemu"))
            || (Directory.Exists(Path.GetDirectoryName(Hook)) && Directory.EnumerateFiles(Path.GetDirectoryName(Hook)!).Any());
        if (!any)
        {
            double up = double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture);
            Directory.CreateDirectory(guardFolder);
            File.WriteAllText(Marker, string.Create(CultureInfo.InvariantCulture, $"{boot.Id} {up}"));
        }
    }

    private void Write(byte[] script)
    {
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;
        Directory.CreateDirectory(Path.GetDirectoryName(Hook)!, Mode); // A path of a file in a folder.
        string unfinished = Path.Combine(hooksFolder, ".understudy.new"); // Not in qemu.d: libvirt runs whatever it finds there.
        File.WriteAllBytes(unfinished, script);
        File.SetUnixFileMode(unfinished, Mode);
        File.Move(unfinished, Hook, overwrite: true);
    }

    /// <summary>Seconds after the boot; null when no daemon runs: then its next start looks for hooks.</summary>
    private double? StartOfDaemon()
    {
        foreach (string file in _daemons.Select(name => Path.Combine(libvirtRunFolder, name)))
        {
            if (File.Exists(file) && int.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out int process) && File.Exists($"/proc/{process}/stat"))
            {
                string stat = File.ReadAllText($"/proc/{process}/stat");
                return double.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[StartTimeAfterName], CultureInfo.InvariantCulture) / TicksPerSecond;
            }
        }

        return null;
    }
}
