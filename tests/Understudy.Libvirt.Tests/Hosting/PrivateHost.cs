using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Qemu;
using Understudy.Testing;

namespace Understudy.Libvirt.Tests.Hosting;

/// <summary>
/// A libvirt host of the tests' own, started once for all of them and gone afterwards. The tests are required ones:
/// without root, libvirtd or QEMU they fail and say what is missing.
/// </summary>
public sealed class PrivateHost : IAsyncLifetime
{
    private const string FolderPrefix = "us-libvirt-tests-";

    private static readonly string Script = Path.Combine(AppContext.BaseDirectory, "Hosting", "private-host.sh");

    private readonly string _folder = Path.Combine("/tmp", FolderPrefix + Environment.ProcessId.ToString(CultureInfo.InvariantCulture));

    public string Uri => $"qemu+unix:///system?socket={_folder}/run/libvirt-sock";

    /// <summary>Where disks and scratch of the tests live.</summary>
    public string VmFolder => Path.Combine(_folder, "vm");

    /// <summary>A file system of 4 MiB.</summary>
    public string SmallFolder => Path.Combine(_folder, "small");

    /// <summary>Where its libvirtd looks for hooks, if it finds any when it starts.</summary>
    public string HooksFolder => Path.Combine(_folder, "etc", "hooks");

    /// <summary>By which libvirtd knows that it has started, in this boot, what is to be started with the host.</summary>
    public string AutostartMark => Path.Combine(_folder, "run", "qemu", "autostarted");

    public ValueTask InitializeAsync()
    {
        Require(Environment.UserName == "root", "these tests start a libvirt host of their own and must run as root");
        foreach (string program in (string[])["libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img"])
        {
            Require(IsInstalled(program), $"{program} is not installed; these tests need libvirt and QEMU (packages libvirt-daemon-system, qemu-system-x86, qemu-utils)");
        }

        StopOrphans();
        Tool.Run("bash", Script, _folder, "start");
        return ValueTask.CompletedTask;
    }

    public void RestartDaemon() => Tool.Run("bash", Script, _folder, "restart-daemon");

    /// <summary>With an edit (for sed) of what the daemon remembers of a running VM, made while it is down.</summary>
    public void RestartDaemon(string vmName, string edit) => Tool.Run("bash", Script, _folder, "restart-daemon", edit, $"run/qemu/{vmName}.xml");

    /// <summary>It reads its configuration again, and goes on.</summary>
    public void ReloadDaemon() => Tool.Run("kill", "-HUP", DaemonPid);

    public string DaemonPid => File.ReadAllText(Path.Combine(_folder, "libvirtd.pid")).Trim();

    /// <summary>The process of a running VM's QEMU.</summary>
    public int PidOf(string vmName) => int.Parse(File.ReadAllText(Path.Combine(_folder, "run", "qemu", vmName + ".pid")), CultureInfo.InvariantCulture);

    internal LibvirtSettings Settings => new() { Uri = Uri, ScratchFolder = Path.Combine(VmFolder, "scratch") };

    internal LibvirtHypervisor Connect(LibvirtSettings? settings = null) => new(
        settings ?? Settings,
        TimeProvider.System,
        new SeededIdSource(Environment.TickCount),
        new ImageTool(new QemuSettings { DaemonFolder = "/nonexistent" }),
        NullLogger.Instance);

    public ValueTask DisposeAsync()
    {
        Tool.Run("bash", Script, _folder, "stop");
        return ValueTask.CompletedTask;
    }

    /// <summary>Hosts whose test process was killed before it could stop them.</summary>
    private static void StopOrphans()
    {
        foreach (string folder in Directory.GetDirectories("/tmp", FolderPrefix + "*"))
        {
            if (!Directory.Exists("/proc/" + folder[(folder.LastIndexOf('-') + 1)..]))
            {
                Tool.Run("bash", Script, folder, "stop");
            }
        }
    }

    private static bool IsInstalled(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));

    private static void Require(bool holds, string sentence)
    {
        if (!holds)
        {
            throw new InvalidOperationException(sentence);
        }
    }
}

[CollectionDefinition(Name)]
public sealed class LibvirtCollection : ICollectionFixture<PrivateHost>
{
    public const string Name = "libvirt";
}
