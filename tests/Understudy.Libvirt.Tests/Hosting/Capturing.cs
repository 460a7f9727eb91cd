using Understudy.Blocks;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Hosting;

/// <summary>What a test says often.</summary>
internal static class Capturing
{
    public const long AmpleScratch = 1L << 30;

    public static ValueTask<ICapture> CutAsync(this LibvirtHypervisor hypervisor, TestVm vm, string? since, string name, params string[] devices) =>
        hypervisor.BeginCaptureAsync(new CaptureRequest(vm.Id, since, name, Disks(devices.Length == 0 ? ["vda", "vdb"] : devices), AmpleScratch), default);

    public static IReadOnlyList<CaptureDisk> Disks(params string[] devices) => [.. devices.Select(device => new CaptureDisk(device))];

    /// <summary>A cut that only moves the checkpoint on.</summary>
    public static async Task CutAndEndAsync(this LibvirtHypervisor hypervisor, TestVm vm, string? since, string name, params string[] devices)
    {
        await using ICapture capture = await hypervisor.CutAsync(vm, since, name, devices);
        await capture.EndAsync(default);
    }

    public static async Task<byte[]> ReadAsync(this ICapture capture, int disk, long offsetBytes, int lengthBytes)
    {
        byte[] content = new byte[lengthBytes];
        await capture.Disks[disk].Content.ReadAsync(offsetBytes, content, default);
        return content;
    }

    public static async Task<IReadOnlyList<ByteRange>> ChangedAsync(this ICapture capture, int disk) =>
        await capture.GetChangedAsync(capture.Disks[disk], default);

    public static async Task<HypervisorException> FaultAsync(Func<Task> act) => await Assert.ThrowsAsync<HypervisorException>(act);
}
