using Understudy.Blocks.Identity;

namespace Understudy.Bench;

/// <summary>
/// A running VM without an operating system: nothing writes, so it is as idle as a VM can be. Two qcow2 disks, the first
/// half of each incompressible; every VM of a run has the same bytes.
/// </summary>
internal static class BenchVm
{
    public const int DiskBytes = 64 * 1024 * 1024;
    private const int DataBytes = DiskBytes / 2;
    private const int Seed = 13;

    public static readonly string[] Devices = ["vda", "vdb"];

    public static async Task<VmId> StartAsync(BenchHost host, string name, CancellationToken cancellationToken)
    {
        string folder = Directory.CreateDirectory(host.At($"vm/{name}")).FullName;
        foreach (string device in Devices)
        {
            await MakeDiskAsync(folder, device, cancellationToken);
        }

        VmId vm = await host.Hypervisor.DefineAsync(Definition(name, folder), cancellationToken);
        await host.Hypervisor.StartAsync(vm, cancellationToken);
        return vm;
    }

    private static async Task MakeDiskAsync(string folder, string device, CancellationToken cancellationToken)
    {
        byte[] content = new byte[DiskBytes];
        new Random(Seed + device[^1]).NextBytes(content.AsSpan(0, DataBytes));
        string raw = Path.Combine(folder, device + ".raw");
        await File.WriteAllBytesAsync(raw, content, cancellationToken);
        await Command.RunAsync("qemu-img", cancellationToken, "convert", "-f", "raw", "-O", "qcow2", raw, Path.Combine(folder, device + ".qcow2"));
        File.Delete(raw);
    }

    /// <summary>A VM of that name on the disks in that folder.</summary>
    public static string Definition(string name, string folder) =>
        $"""
        <domain type='qemu'>
          <name>{name}</name>
          <memory unit='MiB'>32</memory>
          <vcpu>1</vcpu>
          <os><type arch='x86_64' machine='pc'>hvm</type></os>
          <cpu mode='custom' match='exact'><model fallback='allow'>qemu64</model></cpu>
          <devices>
            <emulator>/usr/bin/qemu-system-x86_64</emulator>
            {string.Concat(Devices.Select(device => Disk(folder, device)))}
            <memballoon model='none'/>
          </devices>
        </domain>
        """;

    private static string Disk(string folder, string device) =>
        $"""
        <disk type='file' device='disk'>
          <driver name='qemu' type='qcow2' discard='unmap'/>
          <source file='{folder}/{device}.qcow2'/>
          <target dev='{device}' bus='virtio'/>
        </disk>
        """;
}
