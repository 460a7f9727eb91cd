using Understudy.Blocks.Identity;
using Understudy.Blocks.Storage;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Guard;
using Understudy.Protection.Ownership;
using Understudy.Protection.Ports;
using Understudy.Protection.Source.Guest;

namespace Understudy.Libvirt.Tests.Real;

/// <summary>What libvirt does with the hook's answer, by every way in which a VM can come to run.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class StartGuardTests(PrivateHost host) : IAsyncLifetime
{
    private static readonly VmId _vm = new(Guid.Parse("c0ffee00-1111-4222-8333-444444444444"));
    private static readonly string _boot = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    private LibvirtHypervisor _hypervisor = null!; // Set by InitializeAsync.

    private string Folder => Path.Combine(host.VmFolder, "guarded");

    private string Guard => Path.Combine(Folder, "guard");

    private string Disk => Path.Combine(Folder, "disk.qcow2");

    private string Hook => Path.Combine(host.HooksFolder, "qemu.d", "understudy");

    public async ValueTask InitializeAsync()
    {
        _hypervisor = host.Connect();
        Directory.CreateDirectory(Folder);
        Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", Disk, "1048576");
        await _hypervisor.DefineAsync(Definition("guarded", _vm.ToString(), Disk), default);
        Directory.CreateDirectory(Path.GetDirectoryName(Hook)!);
        string script = Path.Combine(AppContext.BaseDirectory, "Hosting", "start-guard.sh");
        File.WriteAllText(Hook, File.ReadAllText(script).Replace("@GUARD@", Guard, StringComparison.Ordinal));
        Tool.Run("chmod", "755", Hook);
        host.RestartDaemon(); // It looks for hooks only when it starts.
        await UntilAsync(async () => await _hypervisor.GetRunStateAsync(_vm, default) == VmRunState.Off);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (VmFacts vm in await _hypervisor.ListVmsAsync(default))
        {
            await _hypervisor.DestroyAsync(vm.Id, default);
            await _hypervisor.UndefineAsync(vm.Id, default);
        }

        await _hypervisor.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
        Directory.Delete(host.HooksFolder, recursive: true);
        host.RestartDaemon();
    }

    /// <summary>How much work that is for the hook, its own tests say; how long it takes, the machine's load.</summary>
    [Fact]
    public async Task Virsh_start_is_refused_with_the_reason()
    {
        await OwnedElsewhereAsync();
        string words = Refused("start", "guarded");
        Assert.Contains("may not be started on this host: the other side owns it (line 2-", words, StringComparison.Ordinal);
        Assert.Contains("understudy vm show guarded", words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_vm_that_is_owned_here_starts()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        Virsh("start", "guarded");
        Assert.Equal(VmRunState.Running, await _hypervisor.GetRunStateAsync(_vm, default));
    }

    [Fact]
    public async Task A_renamed_copy_on_the_same_disk_is_refused_transient_or_imported()
    {
        await OwnedElsewhereAsync();
        string copy = Path.Combine(Folder, "copy.xml");
        await File.WriteAllTextAsync(copy, Definition("copy", Guid.NewGuid().ToString(), Disk));
        Assert.Contains("may not be started", Refused("create", copy), StringComparison.Ordinal);
        Virsh("define", copy);
        Assert.Contains("may not be started", Refused("start", "copy"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_copy_that_names_the_disk_as_a_volume_of_a_pool_is_refused()
    {
        await OwnedElsewhereAsync();
        await UsingPoolAsync(async () =>
        {
            string copy = Path.Combine(Folder, "copy.xml");
            await File.WriteAllTextAsync(copy, OnVolume("copy", Guid.NewGuid().ToString()));
            Assert.Contains("may not be started", Refused("create", copy), StringComparison.Ordinal);
        });
    }

    /// <summary>The lists as the agent makes them: one VM's CD image is in the drive of another as well.</summary>
    [Fact]
    public async Task A_medium_in_the_drive_of_a_fenced_VM_hinders_no_other_VM()
    {
        string medium = Path.Combine(Folder, "virtio-win.iso");
        File.WriteAllBytes(medium, new byte[65536]);
        string drive =
            $"""
            <disk type='file' device='cdrom'>
              <driver name='qemu' type='raw'/>
              <source file='{medium}'/>
              <target dev='sda' bus='sata'/>
              <readonly/>
            </disk>
            <memballoon model='none'/>
            """;
        await _hypervisor.DefineAsync(Definition("guarded", _vm.ToString(), Disk).Replace("<memballoon model='none'/>", drive, StringComparison.Ordinal), default);
        string other = Path.Combine(Folder, "other.qcow2");
        Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", other, "1048576");
        VmId free = await _hypervisor.DefineAsync(
            Definition("free", Guid.NewGuid().ToString(), other).Replace("<memballoon model='none'/>", drive, StringComparison.Ordinal), default);

        await PublishAsync(new OwnershipState.Elsewhere(), await DisksAsync());

        Assert.Contains("may not be started", Refused("start", "guarded"), StringComparison.Ordinal);
        await StartAndEndAsync(free);
    }

    [Fact]
    public async Task A_VM_on_a_volume_is_guarded_by_the_volumes_file_also_while_its_pool_is_stopped()
    {
        await UsingPoolAsync(async () =>
        {
            await _hypervisor.DefineAsync(OnVolume("guarded", _vm.ToString()), default);
            string copy = Path.Combine(Folder, "copy.xml");
            await File.WriteAllTextAsync(copy, Definition("copy", Guid.NewGuid().ToString(), Disk));
            await PublishAsync(new OwnershipState.Elsewhere(), await DisksAsync());
            Assert.Contains("may not be started", Refused("create", copy), StringComparison.Ordinal);

            Virsh("pool-destroy", "us-guard-pool");
            Assert.Equal([Disk], await DisksAsync());
            Virsh("pool-start", "us-guard-pool");
        });
    }

    /// <summary>libvirt looks for hooks when it starts and when it is told to read its configuration again; what cannot be
    /// executed is none to it.</summary>
    [Fact]
    public async Task A_trial_tells_whether_libvirt_asks_the_guard_and_a_reload_makes_it_ask()
    {
        VmId trial = new(Guid.NewGuid());
        string note = Path.Combine(Guard, "asked-by");
        Directory.CreateDirectory(Guard);
        File.Move(Hook, Hook + ".away");
        Tool.Run("chmod", "644", Hook + ".away");
        await File.WriteAllTextAsync(Path.Combine(host.HooksFolder, "qemu"), "#!/bin/sh\n");
        host.RestartDaemon();
        await UntilAsync(async () => await _hypervisor.GetRunStateAsync(_vm, default) == VmRunState.Off);
        File.Move(Hook + ".away", Hook);
        Tool.Run("chmod", "755", Hook);

        await PublishAsync(new OwnershipState.Elsewhere(), [], trial);
        Assert.IsType<StartTrialOutcome.Started>(await _hypervisor.TryStartAsync(trial, "us-trial", default));
        Assert.False(File.Exists(note));
        Assert.Equal(VmRunState.Absent, await _hypervisor.GetRunStateAsync(trial, default));

        host.ReloadDaemon();
        await UntilAsync(async () => await _hypervisor.TryStartAsync(trial, "us-trial", default) is StartTrialOutcome.Refused);
        StartTrialOutcome.Refused refused = Assert.IsType<StartTrialOutcome.Refused>(await _hypervisor.TryStartAsync(trial, "us-trial", default));
        Assert.Contains("may not be started on this host", refused.Words, StringComparison.Ordinal);
        Assert.Equal($"{_boot} {host.DaemonPid} ", (await File.ReadAllTextAsync(note))[..$"{_boot} {host.DaemonPid} ".Length]);
    }

    [Fact]
    public async Task A_daemon_that_finds_a_running_VM_asks_at_once()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        Virsh("start", "guarded");
        string note = Path.Combine(Guard, "asked-by");
        string before = await File.ReadAllTextAsync(note);
        host.RestartDaemon();
        await UntilAsync(async () => await File.ReadAllTextAsync(note) != before);
    }

    [Fact]
    public async Task A_save_file_is_not_restored_and_a_managed_save_not_started()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        Virsh("start", "guarded");
        string saved = Path.Combine(Folder, "saved");
        Virsh("save", "guarded", saved);
        await OwnedElsewhereAsync();
        Assert.Contains("may not be started", Refused("restore", saved), StringComparison.Ordinal);

        await PublishAsync(new OwnershipState.Here(_boot));
        Virsh("restore", saved);
        Virsh("managedsave", "guarded");
        await OwnedElsewhereAsync();
        Assert.Contains("may not be started", Refused("start", "guarded"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_snapshot_of_the_running_vm_is_not_reverted_to()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        Virsh("start", "guarded");
        Virsh("snapshot-create-as", "guarded", "running");
        Virsh("destroy", "guarded");
        await OwnedElsewhereAsync();
        Assert.Contains("may not be started", Refused("snapshot-revert", "guarded", "running"), StringComparison.Ordinal);
        Assert.Equal(VmRunState.Off, await _hypervisor.GetRunStateAsync(_vm, default));
    }

    [Fact]
    public async Task Autostart_at_boot_is_refused_and_goes_through_when_the_vm_is_owned_here()
    {
        Virsh("autostart", "guarded");
        await PublishAsync(new OwnershipState.Here("00000000-aaaa-4333-8444-555555555555")); // Of another boot.
        BootLibvirt();
        Virsh("list");
        await Task.Delay(TimeSpan.FromSeconds(1)); // Autostart comes a moment after the daemon answers.
        Assert.Equal(VmRunState.Off, await _hypervisor.GetRunStateAsync(_vm, default));
        Assert.Contains("nobody has said that it is still owned here", Refused("start", "guarded"), StringComparison.Ordinal);

        await PublishAsync(new OwnershipState.Here(_boot));
        BootLibvirt();
        await UntilAsync(async () => await _hypervisor.GetRunStateAsync(_vm, default) == VmRunState.Running);
        Virsh("autostart", "--disable", "guarded");
    }

    [Fact]
    public async Task A_running_guest_is_left_alone_by_a_fence_a_restart_of_libvirtd_and_a_reboot_of_its_own()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        Virsh("start", "guarded");
        await OwnedElsewhereAsync();
        host.RestartDaemon();
        await UntilAsync(async () => await _hypervisor.GetRunStateAsync(_vm, default) == VmRunState.Running);
        Virsh("reset", "guarded");
        Virsh("suspend", "guarded");
        Virsh("resume", "guarded");
        Assert.Equal(VmRunState.Running, await _hypervisor.GetRunStateAsync(_vm, default));
    }

    [Fact]
    public async Task An_unprotected_vm_is_never_hindered_whatever_is_wrong_with_the_guard()
    {
        await OwnedElsewhereAsync();
        string other = Path.Combine(Folder, "other.qcow2");
        Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", other, "1048576");
        VmId free = await _hypervisor.DefineAsync(Definition("free", Guid.NewGuid().ToString(), other), default);
        await StartAndEndAsync(free);

        File.WriteAllBytes(Path.Combine(Guard, _vm.ToString()), [0xff, 0x00, 0x01]);
        await StartAndEndAsync(free);
        Directory.Delete(Guard, recursive: true);
        await StartAndEndAsync(free);
        File.WriteAllText(Guard, "no folder");
        await StartAndEndAsync(free);
        File.Delete(Guard);
    }

    [Fact]
    public async Task The_users_own_hooks_still_run_and_may_still_refuse()
    {
        await PublishAsync(new OwnershipState.Here(_boot));
        string own = Path.Combine(host.HooksFolder, "qemu");
        string seen = Path.Combine(Folder, "seen");
        File.WriteAllText(own, $"#!/bin/sh\necho \"$1 $2\" >> {seen}\n[ ! -e {seen}.refuse ] || {{ echo 'my own rule' >&2; exit 1; }}\n");
        Tool.Run("chmod", "755", own);
        Virsh("start", "guarded");
        Assert.Contains("guarded prepare", await File.ReadAllTextAsync(seen), StringComparison.Ordinal);
        Virsh("destroy", "guarded");

        File.WriteAllText(seen + ".refuse", "");
        Assert.Contains("my own rule", Refused("start", "guarded"), StringComparison.Ordinal);
    }

    private static string Definition(string name, string uuid, string disk) =>
        $"""
        <domain type='qemu'>
          <name>{name}</name>
          <uuid>{uuid}</uuid>
          <memory unit='MiB'>32</memory>
          <vcpu>1</vcpu>
          <os><type arch='x86_64' machine='pc'>hvm</type></os>
          <cpu mode='custom' match='exact'><model fallback='allow'>qemu64</model></cpu>
          <devices>
            <emulator>/usr/bin/qemu-system-x86_64</emulator>
            <disk type='file' device='disk'>
              <driver name='qemu' type='qcow2'/>
              <source file='{disk}'/>
              <target dev='vda' bus='virtio'/>
            </disk>
            <memballoon model='none'/>
          </devices>
        </domain>
        """;

    private static async Task UntilAsync(Func<Task<bool>> done)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(20));
        while (true)
        {
            try
            {
                if (await done())
                {
                    return;
                }
            }
            catch (HypervisorException)
            {
                // The daemon is on its way.
            }

            await Task.Delay(50, limit.Token); // A poll with a limit.
        }
    }

    private string OnVolume(string name, string uuid) => Definition(name, uuid, Disk)
        .Replace("type='file' device='disk'", "type='volume' device='disk'", StringComparison.Ordinal)
        .Replace($"file='{Disk}'", "pool='us-guard-pool' volume='disk.qcow2'", StringComparison.Ordinal);

    private async Task UsingPoolAsync(Func<Task> work)
    {
        string pool = Path.Combine(Folder, "pool.xml");
        await File.WriteAllTextAsync(pool, $"<pool type='dir'><name>us-guard-pool</name><target><path>{Folder}</path></target></pool>");
        Virsh("pool-define", pool);
        Virsh("pool-start", "us-guard-pool");
        try
        {
            await work();
        }
        finally
        {
            Virsh("pool-destroy", "us-guard-pool");
            Virsh("pool-undefine", "us-guard-pool");
        }
    }

    private async Task<IReadOnlyList<string>> DisksAsync() => NotedDisk.Guarded(NotedDisk.Of((await _hypervisor.FindVmAsync(_vm, default))!, [], 0));

    private ValueTask OwnedElsewhereAsync() => PublishAsync(new OwnershipState.Elsewhere());

    private ValueTask PublishAsync(OwnershipState state, IReadOnlyList<string>? disks = null, VmId? vm = null)
    {
        GuardFolder guard = new(new FolderStore(Directory.CreateDirectory(Guard).FullName), _boot, 0);
        return guard.PublishAsync(
            OwnershipRules.Begin(vm ?? _vm, "guarded", new ReplicaId(_vm.Value), Guid.Empty, new LineId(2, 1), disks ?? [Disk], state, DateTimeOffset.UtcNow), default);
    }

    private async Task StartAndEndAsync(VmId vm)
    {
        await _hypervisor.StartAsync(vm, default);
        await _hypervisor.DestroyAsync(vm, default);
    }

    /// <summary>As after a boot: libvirtd starts, and starts what is to be started once a boot.</summary>
    private void BootLibvirt()
    {
        File.Delete(host.AutostartMark);
        host.RestartDaemon();
    }

    private string Virsh(params string[] words) => Tool.Run("virsh", ["-c", host.Uri, .. words]);

    private string Refused(params string[] words)
    {
        InvalidOperationException refused = Assert.Throws<InvalidOperationException>(() => Virsh(words));
        return refused.Message;
    }
}
