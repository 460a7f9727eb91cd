using Microsoft.Extensions.Logging.Abstractions;
using Understudy.Blocks;
using Understudy.Libvirt;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection.Ports;
using Understudy.Qemu.Stopped;

namespace Understudy.Qemu.Tests.Stopped;

/// <summary>The last change of a VM that is off, on real images that a real QEMU has left.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class StoppedDisksTests(PrivateHost host) : IAsyncLifetime
{
    private const long Block = 65536;

    private readonly string _folder = Directory.CreateTempSubdirectory("us-stopped-").FullName;
    private LibvirtHypervisor _hypervisor = null!; // Set by InitializeAsync, as the two below.
    private TestVm _vm = null!;
    private StoppedDisks _stopped = null!;

    public async ValueTask InitializeAsync()
    {
        _hypervisor = host.Connect();
        _vm = await TestVm.StartAsync(host, _hypervisor);
        _stopped = NewAgent();
    }

    public async ValueTask DisposeAsync()
    {
        await _stopped.CloseStaleAsync(_vm.Id, default);
        await _vm.DisposeAsync();
        await _hypervisor.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task What_was_written_after_the_checkpoint_until_the_end_is_listed_and_read()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.WriteAsync("vda", 0x11, 3 * Block, Block);
        await _vm.WriteAsync("vdb", 0x22, 7 * Block, 4096);
        await _vm.StopCleanlyAsync(host);

        await using ICapture capture = await _stopped.OpenAsync(Request("us-a"), default);
        Assert.Equal([new ByteRange(3 * Block, Block)], await capture.ChangedAsync(0));
        Assert.Equal([new ByteRange(7 * Block, Block)], await capture.ChangedAsync(1));
        Assert.All(await capture.ReadAsync(0, 3 * Block, (int)Block), value => Assert.Equal(0x11, value));
        Assert.All(await capture.ReadAsync(1, 7 * Block, 4096), value => Assert.Equal(0x22, value));
        Assert.Equal([TestVm.DiskBytes, TestVm.DiskBytes], capture.Disks.Select(disk => disk.SizeBytes));
        await capture.EndAsync(default);
    }

    /// <summary>A cut that came to nothing leaves a newer checkpoint; the older one has recorded all the while.</summary>
    [Fact]
    public async Task A_newer_checkpoint_takes_nothing_from_the_older_one()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.WriteAsync("vda", 0x11, 0, Block);
        await _hypervisor.CutAndEndAsync(_vm, "us-a", "us-b");
        await _vm.WriteAsync("vda", 0x22, 5 * Block, Block);
        await _vm.StopCleanlyAsync(host);
        await using ICapture capture = await _stopped.OpenAsync(Request("us-a"), default);
        Assert.Equal([new ByteRange(0, Block), new ByteRange(5 * Block, Block)], await capture.ChangedAsync(0));
    }

    [Fact]
    public async Task A_vm_that_is_ended_without_asking_it_keeps_its_tracking()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.WriteAsync("vda", 0x11, 3 * Block, Block);
        await _hypervisor.DestroyAsync(_vm.Id, default);
        await using ICapture capture = await _stopped.OpenAsync(Request("us-a"), default);
        Assert.Equal([new ByteRange(3 * Block, Block)], await capture.ChangedAsync(0));
    }

    [Fact]
    public async Task After_the_reading_the_vm_starts_and_its_tracking_goes_on_from_where_it_was()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.WriteAsync("vda", 0x11, 0, Block);
        await _vm.StopCleanlyAsync(host);
        await using (ICapture capture = await _stopped.OpenAsync(Request("us-a"), default))
        {
            await capture.EndAsync(default);
        }

        await _hypervisor.StartAsync(_vm.Id, default);
        await _vm.WriteAsync("vda", 0x22, 5 * Block, Block);
        await using ICapture next = await _hypervisor.CutAsync(_vm, "us-a", "us-b");
        Assert.Equal([new ByteRange(0, Block), new ByteRange(5 * Block, Block)], await next.ChangedAsync(0));
    }

    [Fact]
    public async Task While_the_disks_are_read_the_vm_cannot_be_started_and_an_agent_that_died_is_followed_by_one_that_ends_it()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.StopCleanlyAsync(host);
        _ = await _stopped.OpenAsync(Request("us-a"), default); // Never closed: its agent is dead.
        HypervisorException refused = await Assert.ThrowsAsync<HypervisorException>(async () => await _hypervisor.StartAsync(_vm.Id, default));
        Assert.Contains("lock", refused.Message, StringComparison.Ordinal);

        await NewAgent().CloseStaleAsync(_vm.Id, default);
        await _hypervisor.StartAsync(_vm.Id, default);
    }

    [Fact]
    public async Task A_vm_that_runs_is_not_read()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.WriteAsync("vda", 0x11, 0, Block);
        HypervisorException refused = await Assert.ThrowsAsync<HypervisorException>(async () => await _stopped.OpenAsync(Request(null), default));
        Assert.Equal(HypervisorFault.Busy, refused.Fault);
    }

    [Fact]
    public async Task Tracking_that_a_killed_QEMU_has_left_is_lost()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.KillQemuAsync(host);
        HypervisorException lost = await Assert.ThrowsAsync<HypervisorException>(async () => await _stopped.OpenAsync(Request("us-a"), default));
        Assert.Equal(HypervisorFault.TrackingLost, lost.Fault);

        await using ICapture all = await _stopped.OpenAsync(Request(null), default);
        Assert.Equal(2, all.Disks.Count);
    }

    [Fact]
    public async Task Tracking_that_was_stored_once_and_then_in_use_when_QEMU_was_killed_is_lost()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a");
        await _vm.StopCleanlyAsync(host);
        await _hypervisor.StartAsync(_vm.Id, default);
        await _vm.WriteAsync("vda", 0x11, 0, Block);
        await _vm.KillQemuAsync(host);
        HypervisorException lost = await Assert.ThrowsAsync<HypervisorException>(async () => await _stopped.OpenAsync(Request("us-a"), default));
        Assert.Equal(HypervisorFault.TrackingLost, lost.Fault);
    }

    [Fact]
    public async Task A_disk_that_came_after_the_checkpoint_is_read_beside_the_others()
    {
        await _hypervisor.CutAndEndAsync(_vm, null, "us-a", "vda");
        await _vm.StopCleanlyAsync(host);
        StoppedDisksRequest request = Request("us-a");
        await using ICapture capture = await _stopped.OpenAsync(
            request with { Disks = [request.Disks[0], request.Disks[1] with { WantsChanges = false }] }, default);
        Assert.Empty(await capture.ChangedAsync(0));
        Assert.Equal(2, capture.Disks.Count);
    }

    private StoppedDisksRequest Request(string? since) => new(
        _vm.Id, since, [.. ((string[])["vda", "vdb"]).Select(device => new StoppedDisk(device, _vm.PathOf(device), "qcow2"))]);

    private StoppedDisks NewAgent()
    {
        QemuSettings settings = new() { DaemonFolder = Path.Combine(_folder, "daemons") };
        return new StoppedDisks(new StorageDaemons(settings, NullLogger<StorageDaemons>.Instance), new ImageTool(settings), Path.Combine(_folder, "run"), TimeProvider.System);
    }
}
