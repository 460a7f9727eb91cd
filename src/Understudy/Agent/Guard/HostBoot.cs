using System.Globalization;

namespace Understudy.Agent.Guard;

/// <summary>This host's present boot: one id from start to restart, and how long it has been up. The lab puts files of its own
/// in their place to have a host boot again.</summary>
internal sealed record HostBoot(string Id, long UpSeconds)
{
    private const string IdFile = "/proc/sys/kernel/random/boot_id";
    private const string UptimeFile = "/proc/uptime";

    public static HostBoot Read() => new(
        File.ReadAllText(IdFile).Trim(),
        (long)double.Parse(File.ReadAllText(UptimeFile).Split(' ')[0], CultureInfo.InvariantCulture));
}
