using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks.Identity;
using Understudy.Libvirt.Calls;
using Understudy.Libvirt.Connection;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;
using Understudy.Qemu;
using Understudy.Testing;

namespace Understudy.Libvirt.Tests.Real;

/// <summary>A storage pool whose server is gone: libvirt's calls to it do not come back, and everything else goes on.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class HungStorageTests(PrivateHost host)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(300);

    private LibvirtSettings Settings => host.Settings with { StorageLimit = Patience };

    [Fact]
    public async Task Calls_to_a_hung_pool_take_one_thread_and_all_others_go_on()
    {
        await using LibvirtConnection connection = new(Settings, TimeProvider.System, NullLogger.Instance);
        using ManualResetEventSlim server = new();
        int begun = 0;
        Task<int> Ask() => connection.OnStorageAsync(
            "list the storage pools",
            _ =>
            {
                Interlocked.Increment(ref begun);
                server.Wait();
                return 0;
            },
            default);

        Task<int>[] asked = [.. Enumerable.Range(0, 20).Select(_ => Ask())];
        foreach (Task<int> call in asked)
        {
            HypervisorException fault = await Assert.ThrowsAsync<HypervisorException>(() => call);
            Assert.True(fault.Fault is HypervisorFault.TimedOut or HypervisorFault.Busy, fault.Message);
        }

        Assert.Equal(1, begun);
        int others = 0;
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => connection.CallAsync("ask something else", TimeSpan.FromMinutes(1), _ => Interlocked.Increment(ref others), default)));
        Assert.Equal(16, others);
        HypervisorException atOnce = await Assert.ThrowsAsync<HypervisorException>(Ask);
        Assert.Equal(HypervisorFault.Busy, atOnce.Fault);
        Assert.Contains("pool", atOnce.Message, StringComparison.Ordinal);

        server.Set();
        await UntilAsync(async () => await Ask() == 0);
    }

    /// <summary>Nobody is left who would see that it takes too long, and each of the next ones waited for its own time.</summary>
    [Fact]
    public async Task A_call_that_its_caller_gave_up_counts_as_one_that_hangs()
    {
        await using LibvirtConnection connection = new(host.Settings with { StorageLimit = TimeSpan.FromMinutes(5) }, TimeProvider.System, NullLogger.Instance);
        using ManualResetEventSlim server = new();
        using ManualResetEventSlim begun = new();
        using CancellationTokenSource gone = new();
        Task<int> given = connection.OnStorageAsync(
            "list the storage pools",
            _ =>
            {
                begun.Set();
                server.Wait();
                return 0;
            },
            gone.Token);
        Assert.True(begun.Wait(TimeSpan.FromMinutes(1)));
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);

        Task<int> next = connection.OnStorageAsync("list the storage pools", _ => 1, default);
        HypervisorException atOnce = await Assert.ThrowsAsync<HypervisorException>(() => next.WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.Equal(HypervisorFault.Busy, atOnce.Fault);

        server.Set();
        await UntilAsync(async () => await connection.OnStorageAsync("list the storage pools", _ => 1, default) == 1);
    }

    /// <summary>As when libvirtd takes no more clients.</summary>
    [Fact]
    public async Task A_host_whose_second_connection_cannot_be_had_is_known_without_its_pools()
    {
        await using LibvirtHypervisor usual = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, usual, disks: 1);
        await using LibvirtHypervisor hypervisor = new(
            Settings,
            Settings with { Uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock" },
            TimeProvider.System,
            new SeededIdSource(7),
            new ImageTool(new QemuSettings { DaemonFolder = "/nonexistent" }),
            NullLogger.Instance);

        HostFacts facts = await hypervisor.GetHostAsync(default);
        VmFacts? found = await hypervisor.FindVmAsync(vm.Id, default);

        Assert.True(facts.FreeMemoryBytes > 0);
        Assert.Null(facts.Pools);
        Assert.Equal(VmRunState.Running, found?.State);
        await usual.DestroyAsync(vm.Id, default);
        Assert.True(Assert.Single((await hypervisor.FindVmAsync(vm.Id, default))!.Disks).SizeBytes > 0); // read from the file itself
    }

    [Fact]
    public async Task Sizes_are_not_asked_for_while_earlier_questions_hang()
    {
        await using LibvirtConnection connection = new(Settings, TimeProvider.System, NullLogger.Instance);
        await using LibvirtHypervisor hypervisor = host.Connect();
        await using TestVm first = await TestVm.StartAsync(host, hypervisor, disks: 1);
        await using TestVm second = await TestVm.StartAsync(host, hypervisor, disks: 1);
        using ManualResetEventSlim server = new();
        VmId other = new(Guid.NewGuid());
        await HangAsync(first.Id);
        Assert.False(connection.MayAskForSizes(first.Id));
        Assert.True(connection.MayAskForSizes(other));
        await HangAsync(second.Id);
        Assert.False(connection.MayAskForSizes(other));

        server.Set();
        await UntilAsync(() => Task.FromResult(connection.MayAskForSizes(other) && connection.MayAskForSizes(first.Id)));

        Task HangAsync(VmId vm) => Assert.ThrowsAsync<HypervisorException>(() => connection.OnDomainAsync(
            vm,
            Lane.Query,
            "read the disk sizes",
            TimeSpan.FromSeconds(3), // the call has to have begun by then; it ends no sooner than the test says
            _ =>
            {
                server.Wait();
                return 0;
            },
            default));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_pool_whose_server_is_gone_keeps_neither_its_host_nor_other_vms_from_being_known(bool namedAsVolume)
    {
        await using LibvirtHypervisor hypervisor = host.Connect(Settings);
        await using TestVm vm = await TestVm.StartAsync(host, hypervisor, disks: 1);
        await using TestVm other = await TestVm.StartAsync(host, hypervisor, disks: 1);
        using HangingPool pool = new(host, vm.NewPath("pool"));
        await hypervisor.DestroyAsync(vm.Id, default);
        string definition = await hypervisor.GetDefinitionAsync(vm.Id, DefinitionKind.Inactive, default);
        definition = definition.Replace("type='qcow2'", "type='raw'", StringComparison.Ordinal);
        await hypervisor.DefineAsync(
            namedAsVolume
                ? definition.Replace("type='file' device='disk'", "type='volume' device='disk'", StringComparison.Ordinal)
                    .Replace($"file='{vm.PathOf("vda")}'", $"pool='{HangingPool.Name}' volume='{HangingPool.Volume}'", StringComparison.Ordinal)
                : definition.Replace(vm.PathOf("vda"), Path.Combine(vm.NewPath("pool"), HangingPool.Volume), StringComparison.Ordinal),
            default);
        IReadOnlyList<PoolFacts> pools = (await hypervisor.GetHostAsync(default)).Pools!; // libvirt has storage here
        Assert.Contains(pools, known => known.Name == HangingPool.Name);
        Assert.Equal(HangingPool.Bytes, await SizeAsync());

        pool.Hang();
        try
        {
            for (int i = 0; i < 12; i++)
            {
                Assert.Contains(await hypervisor.ListVmsAsync(default), known => known.Id == vm.Id);
            }

            HostFacts facts = await hypervisor.GetHostAsync(default);
            Assert.True(facts.FreeMemoryBytes > 0);
            Assert.Equal(pools, facts.Pools);
            await hypervisor.DestroyAsync(other.Id, default);
            await hypervisor.StartAsync(other.Id, default);
            Assert.Equal(VmRunState.Running, await hypervisor.GetRunStateAsync(other.Id, default));
        }
        finally
        {
            pool.GoOn();
        }

        await UntilAsync(async () => await SizeAsync() == HangingPool.Bytes);

        async Task<long> SizeAsync() => Assert.Single((await hypervisor.FindVmAsync(vm.Id, default))!.Disks).SizeBytes;
    }

    /// <summary>A QEMU whose disk hangs answers no read of its capture; here it is QEMU itself that stands still.</summary>
    [Fact]
    public async Task A_capture_that_stands_still_is_given_up_and_its_place_is_free_again()
    {
        await using LibvirtHypervisor hypervisor = host.Connect(Settings with { CaptureSilence = TimeSpan.FromSeconds(2), JobLimit = TimeSpan.FromSeconds(2), QueryLimit = TimeSpan.FromSeconds(2) });
        await using LibvirtHypervisor patient = host.Connect();
        await using TestVm vm = await TestVm.StartAsync(host, patient);
        ICapture capture = await hypervisor.CutAsync(vm, since: null, "us-1");
        string qemu = vm.Pid(host);
        Tool.Run("kill", "-STOP", qemu);
        try
        {
            HypervisorException fault = await Assert.ThrowsAsync<HypervisorException>(() => capture.ReadAsync(0, 0, 512));
            Assert.Contains("answered nothing", fault.Message, StringComparison.Ordinal);
            await capture.DisposeAsync(); // comes back, whatever libvirt does
        }
        finally
        {
            Tool.Run("kill", "-CONT", qemu);
        }

        await UntilAsync(async () =>
        {
            await patient.ClearStaleCaptureAsync(vm.Id, default);
            return true;
        });
        await patient.CutAndEndAsync(vm, since: null, "us-2");
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!await TryAsync())
        {
            await Task.Delay(20, limit.Token);
        }

        async Task<bool> TryAsync()
        {
            try
            {
                return await holds();
            }
            catch (HypervisorException)
            {
                return false;
            }
        }
    }
}
