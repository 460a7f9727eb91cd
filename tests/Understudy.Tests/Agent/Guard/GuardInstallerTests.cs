using System.Globalization;
using Understudy.Agent.Guard;

namespace Understudy.Tests.Agent.Guard;

public sealed class GuardInstallerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-install-").FullName;
    private readonly HostBoot _boot = HostBoot.Read();

    private string Etc => Path.Combine(_folder, "etc");

    private string Hooks => Path.Combine(Etc, "hooks");

    private string Hook => Path.Combine(Hooks, "qemu.d", "understudy");

    private string Run => Path.Combine(_folder, "run");

    private string Guard => Path.Combine(_folder, "guard");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Without_libvirt_nothing_is_made()
    {
        GuardState state = Installer().Install();
        Assert.Equal(GuardForce.NotInstalled, state.Force);
        Assert.Contains("libvirt is not installed", state.Problem, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Etc));
    }

    [Fact]
    public void The_script_is_put_where_libvirt_runs_it_and_names_the_guards_folder()
    {
        Directory.CreateDirectory(Etc);
        Installer().Install();
        Assert.True(File.GetUnixFileMode(Hook).HasFlag(UnixFileMode.UserExecute | UnixFileMode.OtherExecute));
        Assert.Contains($"guard='{Guard}'", File.ReadAllText(Hook), StringComparison.Ordinal);
        Assert.Equal(["understudy"], Directory.EnumerateFiles(Path.GetDirectoryName(Hook)!).Select(Path.GetFileName));
    }

    [Fact]
    public void An_old_script_is_replaced_and_a_good_one_left_alone()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Hook)!);
        File.WriteAllText(Hook, "#!/bin/sh\n");
        Installer().Install();
        DateTime written = File.GetLastWriteTimeUtc(Hook);
        Assert.Contains("start guard", File.ReadAllText(Hook), StringComparison.Ordinal);
        Installer().Install();
        Assert.Equal(written, File.GetLastWriteTimeUtc(Hook));
    }

    /// <summary>This test's own process stands for a libvirtd that was started before.</summary>
    [Fact]
    public void A_libvirtd_that_was_started_without_hooks_must_be_restarted_once()
    {
        Directory.CreateDirectory(Etc);
        RunsAs("libvirtd", Environment.ProcessId);
        Assert.Equal(GuardForce.AfterRestart, Installer().Install().Force);
        Assert.Equal(GuardForce.AfterRestart, Installer().Install().Force);

        Thread.Sleep(50); // The kernel counts the start of a process in hundredths of a second.
        using System.Diagnostics.Process later = System.Diagnostics.Process.Start("sleep", "60");
        try
        {
            RunsAs("libvirtd", later.Id);
            Assert.Equal(new GuardState(GuardForce.InForce, null), Installer().Install());
        }
        finally
        {
            later.Kill();
            later.WaitForExit();
        }
    }

    [Fact]
    public void A_libvirtd_that_had_a_hook_when_it_was_started_looks_for_new_ones()
    {
        Directory.CreateDirectory(Hooks);
        File.WriteAllText(Path.Combine(Hooks, "qemu"), "#!/bin/sh\n");
        RunsAs("libvirtd", Environment.ProcessId);
        Assert.Equal(GuardForce.InForce, Installer().Install().Force);
    }

    [Fact]
    public void A_boot_is_a_restart()
    {
        Directory.CreateDirectory(Etc);
        RunsAs("virtqemud", Environment.ProcessId);
        Installer().Install();
        Assert.Equal(GuardForce.InForce, new GuardInstaller(Guard, Hooks, Run, new HostBoot("another boot", 10)).Install().Force);
    }

    [Fact]
    public void Taking_it_away_leaves_the_users_hooks()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Hook)!);
        string own = Path.Combine(Path.GetDirectoryName(Hook)!, "mine");
        File.WriteAllText(own, "#!/bin/sh\n");
        Installer().Install();
        Installer().Remove();
        Assert.False(File.Exists(Hook));
        Assert.True(File.Exists(own));

        File.Delete(own);
        Installer().Install();
        Installer().Remove();
        Installer().Remove();
        Assert.False(Directory.Exists(Path.GetDirectoryName(Hook)));
    }

    private GuardInstaller Installer() => new(Guard, Hooks, Run, _boot);

    private void RunsAs(string daemon, int process)
    {
        Directory.CreateDirectory(Run);
        File.WriteAllText(Path.Combine(Run, daemon + ".pid"), process.ToString(CultureInfo.InvariantCulture));
    }
}
