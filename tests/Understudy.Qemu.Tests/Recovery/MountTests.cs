using Understudy.Blocks.Identity;
using Understudy.Libvirt.Tests.Hosting;
using Understudy.Protection;
using Understudy.Protection.Ports;
using Understudy.Protection.Target.Mounts;
using Understudy.Protection.Target.Runs;

namespace Understudy.Qemu.Tests.Recovery;

/// <summary>TST-3 with real block devices of this host and real QEMU.</summary>
[Collection(LibvirtCollection.Name)]
public sealed class MountTests(PrivateHost libvirtHost) : IAsyncLifetime
{
    private RecoverySite _site = null!; // Set before each test.

    public async ValueTask InitializeAsync() => _site = await RecoverySite.CreateAsync(libvirtHost);

    public async ValueTask DisposeAsync()
    {
        foreach (MountRecord mount in _site.Host.Status.Mounts)
        {
            await _site.Host.UnmountAsync(mount.Id, default);
        }

        await _site.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_point_is_a_block_device_of_the_host_and_outlives_the_agent(bool writable)
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        MountRecord mount = await _site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, Branch: null, ToVm: null, writable), default);
        Assert.Equal(_site.Source.Content[point][0], await ReadDeviceAsync(mount, 0));
        Assert.Equal(_site.Source.Content[point][1], await ReadDeviceAsync(mount, 1));
        byte[] expected = (byte[])_site.Source.Content[point][0].Clone();
        if (writable)
        {
            expected.AsSpan(65536, 8192).Fill(0x5a);
            await WriteDeviceAsync(mount, 65536, expected.AsMemory(65536, 8192));
        }
        else
        {
            await Assert.ThrowsAnyAsync<Exception>(() => WriteDeviceAsync(mount, 0, new byte[4096]));
        }

        await _site.KillAgentAsync();
        await _site.StartAgentAsync();
        MountRecord again = Assert.Single(_site.Host.Status.Mounts);
        Assert.Equal(mount.Disks.Select(disk => disk.Device), again.Disks.Select(disk => disk.Device));
        Assert.Equal(expected, await ReadDeviceAsync(mount, 0));

        // Replication goes on, and the point's content stays, whatever the base becomes.
        RecoveryPointId newest = await _site.Source.PointAsync(_site.Host.Sink, blocks: 40);
        await _site.Host.ConfigureAsync(TimeSpan.Zero, default);
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while (_site.Host.Points[0].Id != newest)
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(_site.Source.Content[point][1], await ReadDeviceAsync(mount, 1));
        Assert.Equal(2, (await _site.Host.UnmountAsync(mount.Id, default)).Gone.Count);
        await AssertNothingAsync();
    }

    [Fact]
    public async Task What_is_written_zeroed_and_punched_through_a_device_reads_back_to_the_sector()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 200);
        MountRecord mount = await _site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, Branch: null, ToVm: null, Writable: true), default);
        byte[] expected = (byte[])_site.Source.Content[point][0].Clone();
        Random random = new(99);
        await using (FileStream device = new(mount.Disks[0].Device!, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0))
        {
            for (int i = 0; i < 600; i++)
            {
                int offset = random.Next(expected.Length / 512) * 512;
                int length = Math.Min(random.Next(1, 300) * 512, expected.Length - offset);
                int kind = random.Next(3);
                expected.AsSpan(offset, length).Fill(kind == 0 ? (byte)random.Next(256) : (byte)0);
                if (kind == 0)
                {
                    device.Position = offset;
                    await device.WriteAsync(expected.AsMemory(offset, length), TestContext.Current.CancellationToken);
                }
                else
                {
                    BlockDeviceCalls.MakeZero(device.SafeFileHandle, offset, length, punch: kind == 1);
                }
            }

            device.Flush(flushToDisk: true);
        }

        Assert.Equal(expected, await ReadDeviceAsync(mount, 0));
        await _site.Host.UnmountAsync(mount.Id, default);
        await AssertNothingAsync();
    }

    [Fact]
    public async Task A_device_that_somebody_has_for_himself_is_not_taken_away()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink);
        MountRecord mount = await _site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, Branch: null, ToVm: null, Writable: true), default);
        string folder = Directory.CreateDirectory(_site.At("mnt")).FullName;
        await QemuFolder.Run("mkfs.ext4", "-q", "-F", mount.Disks[0].Device!);
        await QemuFolder.Run("mount", mount.Disks[0].Device!, folder);
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "hello"), "world", TestContext.Current.CancellationToken);
            RefusedException refused = await Assert.ThrowsAsync<RefusedException>(() => _site.Host.UnmountAsync(mount.Id, default).AsTask());
            Assert.Equal(RefusalCode.Busy, refused.Code);
            Assert.Contains(mount.Disks[0].Device!, refused.Message, StringComparison.Ordinal);
            Assert.Equal("world", await File.ReadAllTextAsync(Path.Combine(folder, "hello"), TestContext.Current.CancellationToken));
        }
        finally
        {
            await QemuFolder.Run("umount", folder);
        }

        await _site.Host.UnmountAsync(mount.Id, default);
        await AssertNothingAsync();
    }

    [Fact]
    public async Task Devices_whose_daemon_was_killed_come_back_by_themselves()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        MountRecord mount = await _site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, Branch: null, ToVm: null, Writable: false), default);
        string daemon = (await _site.Daemons.ListAsync(default)).Single(name => name.StartsWith("mount-", StringComparison.Ordinal));
        await QemuFolder.Kill((await _site.Daemons.FindAsync(daemon, default))!.ProcessId);
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
        while ((await _site.Daemons.FindAsync(daemon, default))?.ProcessId is null || !_site.Host.Status.Mounts[0].Disks.All(DeviceIsThere))
        {
            await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(_site.Source.Content[point][0], await ReadDeviceAsync(_site.Host.Status.Mounts[0], 0));
        await _site.Host.UnmountAsync(mount.Id, default);
        await AssertNothingAsync();
    }

    [Fact]
    public async Task A_branch_is_mounted_with_what_ran_on_it()
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        await _site.Host.StartFailoverAsync(RecoverySite.Failover(point), default);
        await _site.GuestWriteAsync(SourceFeed.Vm, 0, 0xee, 0, 65536);
        FailoverCancelled cancelled = await _site.Host.CancelAsync(new CancelOrder(new TransferId(Guid.NewGuid()), _site.Host.Spec.Source, 7), default);
        byte[] expected = (byte[])_site.Source.Content[point][0].Clone();
        expected.AsSpan(0, 65536).Fill(0xee);
        MountRecord read = await _site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, cancelled.Branch, ToVm: null, Writable: false), default);
        MountRecord write = await _site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, cancelled.Branch, ToVm: null, Writable: true), default);
        Assert.Equal(expected, await ReadDeviceAsync(read, 0));
        await WriteDeviceAsync(write, 0, new byte[4096]);
        Assert.Equal(expected, await ReadDeviceAsync(read, 0));
        expected.AsSpan(0, 4096).Clear();
        Assert.Equal(expected, await ReadDeviceAsync(write, 0));
        await _site.Host.UnmountAsync(read.Id, default);
        await _site.Host.UnmountAsync(write.Id, default);
        await _site.Host.DeleteBranchAsync(cancelled.Branch!.Value, default);
        await AssertNothingAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_point_is_given_to_a_running_vm_as_disks_and_taken_back(bool scsi)
    {
        RecoveryPointId point = await _site.Source.PointAsync(_site.Host.Sink, blocks: 60);
        VmId other = await _site.Hypervisor.DefineAsync(OtherVm(scsi), default);
        await _site.Hypervisor.StartAsync(other, default);
        MountRecord mount = await _site.Host.MountAsync(new MountOrder(Guid.NewGuid(), point, Branch: null, "other", Writable: true), default);
        Assert.Equal(scsi ? ["sda", "sdb"] : ["vda", "vdb"], mount.Disks.Select(disk => disk.Device));
        Assert.Equal(_site.Source.Content[point][0], await _site.ReadImageAsync(mount.Disks[0].Overlay!));
        string live = await _site.Hypervisor.GetDefinitionAsync(other, DefinitionKind.Live, default);
        Assert.Contains(mount.Disks[0].Overlay!, live, StringComparison.Ordinal);
        Assert.DoesNotContain(mount.Disks[0].Overlay!, await _site.Hypervisor.GetDefinitionAsync(other, DefinitionKind.Inactive, default), StringComparison.Ordinal);
        Assert.Empty((await _site.Hypervisor.FindVmAsync(other, default))!.Disks); // Not the VM's own: it is not protected with it.

        await _site.KillAgentAsync();
        await _site.StartAgentAsync();
        Assert.Equal(mount.Disks, Assert.Single(_site.Host.Status.Mounts).Disks);
        RemovedThings removed = await _site.Host.UnmountAsync(mount.Id, default);
        if (scsi)
        {
            Assert.Equal(["disk sda of VM other", "disk sdb of VM other"], removed.Gone);
        }
        else
        {
            // There is no guest system in it that could let go.
            Assert.Contains("has not let go", Assert.Single(removed.Kept), StringComparison.Ordinal);
            await _site.Hypervisor.DestroyAsync(other, default);
            using PeriodicTimer look = new(TimeSpan.FromMilliseconds(50));
            while (_site.Host.Status.Mounts.Count > 0)
            {
                await look.WaitForNextTickAsync(TestContext.Current.CancellationToken);
            }
        }

        await _site.Hypervisor.DestroyAsync(other, default);
        await _site.Hypervisor.UndefineAsync(other, default);
        await AssertNothingAsync();
    }

    private static string OtherVm(bool scsi) => $"""
        <domain type='qemu'>
          <name>other</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
          <os><type arch='x86_64' machine='pc'>hvm</type></os>
          <features><acpi/></features>
          <devices>{(scsi ? "<controller type='scsi' model='virtio-scsi'/>" : "")}<memballoon model='none'/></devices>
        </domain>
        """;

    private static bool DeviceIsThere(MountDisk disk) => disk.Device is { } device && File.Exists($"/sys/block/{Path.GetFileName(device)}/loop/backing_file");

    /// <summary>Around the page cache, which may hold what another device of this name had.</summary>
    private static async Task<byte[]> ReadDeviceAsync(MountRecord mount, int disk)
    {
        await QemuFolder.Run("blockdev", "--flushbufs", mount.Disks[disk].Device!);
        byte[] content = new byte[mount.Disks[disk].SizeBytes];
        await using FileStream device = File.OpenRead(mount.Disks[disk].Device!);
        await device.ReadExactlyAsync(content, TestContext.Current.CancellationToken);
        return content;
    }

    private static async Task WriteDeviceAsync(MountRecord mount, long offset, ReadOnlyMemory<byte> content)
    {
        await using FileStream device = new(mount.Disks[0].Device!, FileMode.Open, FileAccess.ReadWrite);
        device.Position = offset;
        await device.WriteAsync(content, TestContext.Current.CancellationToken);
        device.Flush(flushToDisk: true);
    }

    private async Task AssertNothingAsync()
    {
        Assert.Empty(_site.Host.Status.Mounts);
        Assert.Empty(_site.Host.Status.Replica!.Pins);
        Assert.All(_site.PoolFiles(), file => Assert.Matches("^vd[ab]-[01].qcow2$", file)); // Base images, once something was applied.
        Assert.All(await _site.Daemons.ListAsync(default), daemon => Assert.StartsWith("base-", daemon, StringComparison.Ordinal));
        Assert.DoesNotContain(_site.Folder, await File.ReadAllTextAsync("/proc/self/mountinfo", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        foreach (string loop in Directory.EnumerateDirectories("/sys/block", "loop*"))
        {
            string backing = Path.Combine(loop, "loop/backing_file");
            Assert.False(File.Exists(backing) && (await File.ReadAllTextAsync(backing, TestContext.Current.CancellationToken)).Contains(_site.Folder, StringComparison.Ordinal));
        }
    }
}
