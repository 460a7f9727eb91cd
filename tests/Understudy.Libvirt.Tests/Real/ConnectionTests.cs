using Understudy.Blocks;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Real;

[Collection(LibvirtCollection.Name)]
public sealed class ConnectionTests(PrivateHost host)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task After_a_restart_of_libvirtd_the_connection_and_its_events_come_back()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await hypervisor.CutAndEndAsync(vm, since: null, "us-1");
        await vm.WriteAsync("vda", 0x11, 0, BlockSize.Bytes);
        using var stop = new CancellationTokenSource(Limit);
        await using IAsyncEnumerator<VmEvent> events = hypervisor.WatchAsync(stop.Token).GetAsyncEnumerator(stop.Token);
        Task<bool> first = events.MoveNextAsync().AsTask(); // The watch begins with the first read.
        Task connected = hypervisor.RunAsync(stop.Token);

        host.RestartDaemon();

        await first;
        await WaitForAsync(events, happened => happened.Kind == VmEventKind.Connected);
        await hypervisor.SuspendAsync(vm.Id, default);
        await WaitForAsync(events, happened => happened.Kind == VmEventKind.Lifecycle && happened.Vm == vm.Id);
        await using (ICapture capture = await hypervisor.CutAsync(vm, "us-1", "us-2"))
        {
            Assert.Equal([new ByteRange(0, BlockSize.Bytes)], await capture.ChangedAsync(disk: 0));
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connected);
    }

    [Fact]
    public async Task A_capture_outlives_a_restart_of_libvirtd()
    {
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor);
        await vm.WriteAsync("vda", 0x11, 0, 512);
        await using (ICapture capture = await hypervisor.CutAsync(vm, since: null, "us-1"))
        {
            host.RestartDaemon();
            await vm.WriteAsync("vda", 0x22, 0, 512);
            Assert.Equal(0x11, (await capture.ReadAsync(0, 0, 512))[0]);
            await capture.EndAsync(default);
        }

        await hypervisor.CutAndEndAsync(vm, "us-1", "us-2");
        Assert.Empty(Directory.GetFiles(Path.Combine(host.VmFolder, "scratch")));
    }

    private static async Task WaitForAsync(IAsyncEnumerator<VmEvent> events, Func<VmEvent, bool> wanted)
    {
        while (!wanted(events.Current))
        {
            Assert.True(await events.MoveNextAsync());
        }
    }
}
