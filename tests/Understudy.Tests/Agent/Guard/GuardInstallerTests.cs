using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Agent.Guard;
using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Protection.Guard;
using Understudy.Protection.Ports;

namespace Understudy.Tests.Agent.Guard;

public sealed class GuardInstallerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("us-install-").FullName;
    private readonly HostBoot _boot = HostBoot.Read();

    private string Etc => Path.Combine(_folder, "etc");

    private string Hooks => Path.Combine(Etc, "hooks");

    private string Hook => Path.Combine(Hooks, "qemu.d", "understudy");

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

    [Fact]
    public void A_script_that_cannot_be_executed_is_no_hook()
    {
        Directory.CreateDirectory(Etc);
        Installer().Install();
        File.SetUnixFileMode(Hook, UnixFileMode.UserRead);
        Assert.Equal(GuardForce.NotInstalled, Installer().State().Force);
        Installer().Install();
        Assert.True(File.GetUnixFileMode(Hook).HasFlag(UnixFileMode.UserExecute));
    }

    /// <summary>A sample, a file that cannot be executed, or a hook that came after the daemon's start: libvirt looks at none of
    /// them, and from outside nobody can tell.</summary>
    [Fact]
    public void What_else_is_in_the_folder_proves_nothing()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Hook)!);
        File.WriteAllText(Path.Combine(Hooks, "qemu"), "#!/bin/sh\n");
        File.WriteAllText(Path.Combine(Path.GetDirectoryName(Hook)!, "README"), "about hooks");
        Assert.Equal(GuardForce.NotSeen, Installer().Install().Force);
    }

    /// <summary>This test's own process calls the hook, as libvirtd does.</summary>
    [Fact]
    public void It_is_in_force_while_the_daemon_that_asked_it_lives()
    {
        Directory.CreateDirectory(Etc);
        Directory.CreateDirectory(Guard);
        Assert.Equal(GuardForce.NotSeen, Installer().Install().Force);
        Call();
        Assert.Equal(new GuardState(GuardForce.InForce, null), Installer().State());
        Assert.Equal(GuardForce.NotSeen, new GuardInstaller(Guard, Hooks, new HostBoot("another boot", 10)).State().Force);

        string note = Path.Combine(Guard, "asked-by");
        string[] mine = File.ReadAllText(note).Trim().Split(' ');
        foreach (string other in (string[])[$"{mine[0]} {mine[1]} 1", $"{mine[0]} 4194305 {mine[2]}", $"{mine[0]} {mine[1]}", "", "damaged"])
        {
            File.WriteAllText(note, other);
            Assert.Equal((other, GuardForce.NotSeen), (other, Installer().State().Force));
        }
    }

    [Theory]
    [InlineData("asks", GuardForce.InForce)]
    [InlineData("does not ask", GuardForce.NotAsked)]
    [InlineData("is away", GuardForce.NotSeen)]
    public async Task Where_nobody_has_asked_it_yet_it_is_tried_out(string libvirt, object force)
    {
        Directory.CreateDirectory(Etc);
        Directory.CreateDirectory(Guard);
        Libvirt trial = new(libvirt, Call);
        GuardFolder guard = new(new FolderStore(Guard), _boot.Id, 0);
        GuardWatch watch = new(Installer(), new GuardTrial(guard, trial, TimeProvider.System), TimeProvider.System, NullLogger.Instance);

        GuardState state = await watch.LookAsync(default);

        Assert.Equal(force, state.Force);
        Assert.Equal(state, watch.State());
        Assert.Equal(force is GuardForce.InForce ? 0 : 1, (state.Problem ?? "").Contains(libvirt == "is away" ? "no socket" : "systemctl reload libvirtd", StringComparison.Ordinal) ? 1 : 0);
        Assert.Equal(1, trial.Tries);
        await watch.LookAsync(default);
        Assert.Equal(libvirt == "is away" ? 2 : 1, trial.Tries); // A QEMU that starts for nothing is not started every half minute.
        Assert.DoesNotContain(Directory.EnumerateFiles(Guard), file => Path.GetFileName(file) != "asked-by");
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

    private GuardInstaller Installer() => new(Guard, Hooks, _boot);

    /// <summary>As libvirt does, with a VM.</summary>
    private int Call(string uuid = "99999999-2222-4333-8444-555555555555")
    {
        using Process hook = new() { StartInfo = new ProcessStartInfo(Hook, ["a", "prepare", "begin", "-"]) { RedirectStandardInput = true, RedirectStandardError = true } };
        hook.Start();
        hook.StandardInput.Write($"<domain>\n  <uuid>{uuid}</uuid>\n</domain>\n");
        hook.StandardInput.Close();
        hook.StandardError.ReadToEnd();
        hook.WaitForExit();
        return hook.ExitCode;
    }

    /// <summary>Calls the hook or does not, and starts what the hook does not refuse.</summary>
    private sealed class Libvirt(string does, Func<string, int> call) : IStartTrial
    {
        public int Tries { get; private set; }

        public ValueTask<StartTrialOutcome> TryStartAsync(VmId vm, string name, CancellationToken cancellationToken)
        {
            Tries++;
            return does switch
            {
                "asks" => new(call(vm.ToString()) == 0 ? new StartTrialOutcome.Started() : new StartTrialOutcome.Refused("hook")),
                "does not ask" => new(new StartTrialOutcome.Started()),
                _ => throw new HypervisorException(HypervisorFault.Unreachable, "no socket"),
            };
        }
    }
}
