using System.Globalization;
using System.Text.Json.Nodes;
using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Hosting;

/// <summary>
/// A running VM without an operating system: two small qcow2 disks, plain emulation, nothing to boot. The tests are its
/// guest: they write through the disk's front end by QEMU's own monitor, exactly where a guest's writes enter.
/// </summary>
internal sealed class TestVm : IAsyncDisposable
{
    public const long DiskBytes = 16 * 1024 * 1024;

    private static int _lastNumber;

    private readonly LibvirtHypervisor _hypervisor;
    private readonly string _folder;

    private readonly string _name;

    private TestVm(LibvirtHypervisor hypervisor, string name, string folder, VmId id)
    {
        _name = name;
        _hypervisor = hypervisor;
        _folder = folder;
        Id = id;
    }

    public VmId Id { get; }

    public static async Task<TestVm> StartAsync(PrivateHost host, LibvirtHypervisor hypervisor, int disks = 2, Action<string>? prepareDisk = null)
    {
        string name = $"us-test-{Interlocked.Increment(ref _lastNumber)}";
        string folder = Path.Combine(host.VmFolder, name);
        Directory.CreateDirectory(folder);
        for (int disk = 0; disk < disks; disk++)
        {
            Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", PathIn(folder, disk), DiskBytes.ToString(CultureInfo.InvariantCulture));
            prepareDisk?.Invoke(PathIn(folder, disk));
        }

        VmId id = await hypervisor.DefineAsync(Definition(name, folder, disks), default);
        var vm = new TestVm(hypervisor, name, folder, id);
        await hypervisor.StartAsync(id, default);
        return vm;
    }

    public string PathOf(string device) => PathIn(_folder, IndexOf(device));

    /// <summary>A further qcow2 disk for the running VM, plugged in and kept in its definition.</summary>
    public void Attach(PrivateHost host, string device)
    {
        Tool.Run("qemu-img", "create", "-q", "-f", "qcow2", PathOf(device), DiskBytes.ToString(CultureInfo.InvariantCulture));
        Virsh(host, "attach-disk", _name, PathOf(device), device, "--driver", "qemu", "--subdriver", "qcow2", "--targetbus", "scsi", "--live", "--config");
    }

    public void Detach(PrivateHost host, string device) => Virsh(host, "detach-disk", _name, device, "--live", "--config");

    public void Resize(PrivateHost host, string device, long bytes) =>
        Virsh(host, "blockresize", _name, device, string.Create(CultureInfo.InvariantCulture, $"{bytes}B"));

    public string NewPath(string fileName) => Path.Combine(_folder, fileName);

    /// <summary>Fills a range with one byte, as the guest.</summary>
    public Task WriteAsync(string device, byte pattern, long offsetBytes, long lengthBytes) =>
        QemuIoAsync(device, $"write -P {pattern} {offsetBytes} {lengthBytes}");

    public async Task QemuIoAsync(string device, string command)
    {
        var request = new JsonObject
        {
            ["execute"] = "human-monitor-command",
            ["arguments"] = new JsonObject { ["command-line"] = $"qemu-io -d /machine/peripheral/virtio-disk{IndexOf(device)}/virtio-backend \"{command}\"" },
        };
        string said = await _hypervisor.MonitorCommandAsync(Id, request.ToJsonString(), default);
        Assert.Equal("\"\"", said); // What goes wrong is printed; success of a write goes to QEMU's own output.
    }

    /// <summary>Of its QEMU.</summary>
    public string Pid(PrivateHost host) => host.PidOf(_name).ToString(CultureInfo.InvariantCulture);

    /// <summary>As a crash of QEMU; returns when libvirt has noticed.</summary>
    public async Task KillQemuAsync(PrivateHost host)
    {
        using var process = System.Diagnostics.Process.GetProcessById(host.PidOf(_name));
        process.Kill();
        await WaitForAsync(VmRunState.Off);
    }

    /// <summary>As when libvirtd is killed while it begins a backup: it remembers that there is one, and not which.</summary>
    public void LoseBackup(PrivateHost host) => host.RestartDaemon(_name, "s|^  <vcpus>|  <job type='none' async='backup' flags='0x0' asyncStarted='1'/>\\n&|");

    /// <summary>What an administrator can do about it while the VM runs.</summary>
    public void ForgetLostBackup(PrivateHost host) => host.RestartDaemon(_name, "s|async='backup'[^/]*/>|async='none'/>|");

    /// <summary>QEMU ends by itself and stores what it has in memory; there is no guest to ask.</summary>
    public async Task StopCleanlyAsync(PrivateHost host)
    {
        Tool.Run("kill", "-TERM", host.PidOf(_name).ToString(CultureInfo.InvariantCulture));
        await WaitForAsync(VmRunState.Off);
    }

    public async Task WaitForAsync(VmRunState state)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (await _hypervisor.GetRunStateAsync(Id, limit.Token) != state)
        {
            await Task.Delay(20, limit.Token); // A poll with a limit; libvirt's own event comes on another connection's thread.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _hypervisor.DestroyAsync(Id, default);
        await _hypervisor.UndefineAsync(Id, default);
        Directory.Delete(_folder, recursive: true);
    }

    private static void Virsh(PrivateHost host, params string[] arguments) => Tool.Run("virsh", ["-c", host.Uri, .. arguments]);

    private static int IndexOf(string device) => device[^1] - 'a';

    private static string PathIn(string folder, int disk) => Path.Combine(folder, $"vd{(char)('a' + disk)}.qcow2");

    private static string Definition(string name, string folder, int disks) =>
        $"""
        <domain type='qemu'>
          <name>{name}</name>
          <memory unit='MiB'>32</memory>
          <vcpu>1</vcpu>
          <os><type arch='x86_64' machine='pc'>hvm</type></os>
          <features><acpi/></features>
          <cpu mode='custom' match='exact'><model fallback='allow'>qemu64</model></cpu>
          <devices>
            <emulator>/usr/bin/qemu-system-x86_64</emulator>
            {string.Concat(Enumerable.Range(0, disks).Select(disk => Disk(folder, disk)))}
            <controller type='scsi' model='virtio-scsi'/>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <memballoon model='none'/>
          </devices>
        </domain>
        """;

    private static string Disk(string folder, int disk) =>
        $"""
        <disk type='file' device='disk'>
          <driver name='qemu' type='qcow2' discard='unmap'/>
          <source file='{PathIn(folder, disk)}'/>
          <target dev='vd{(char)('a' + disk)}' bus='virtio'/>
        </disk>
        """;
}
