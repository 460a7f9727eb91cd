using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;
using Understudy.Protection.Tests.Source.World;
using Understudy.Protection.Tests.Target.World;

namespace Understudy.Protection.Tests.Source;

/// <summary>Disks that a source keeps of a VM which the other side owns: named, blocked, and deleted by name only.</summary>
public sealed class OldDisksTests
{
    private static readonly LineId _second = new(2, 8);

    [Fact]
    public async Task A_deposed_source_lists_its_old_disks_and_they_are_deleted_by_name_only()
    {
        SourceWorld world = new(Seed());
        bool told = false;
        world.RunUntil(() =>
        {
            if (!told && world.Replica.Points.Count == 2)
            {
                told = true;
                world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            }

            return world.Host?.Guest.Deposed is { Settled: true };
        });
        AddImages(world);
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            KeptDisks kept = host.Kept!;
            Assert.Equal((SourceWorld.Line, false), (kept.Lost, kept.IsRetired));
            Assert.Equal(["/vda.qcow2", "/vdb.qcow2"], kept.Disks);
            await host.DeleteKeptAsync(kept.Branch, default);
            Assert.Null(host.Kept);
        });
        Assert.Empty(world.Images.Images);
        Assert.Equal(VmRunState.Absent, world.Vm.State);
    }

    /// <summary>The excluded disk is the only copy of what is on it, and the CD image is in the drives of other VMs as well.</summary>
    [Fact]
    public async Task With_the_old_disks_goes_only_what_is_the_VMs_own_and_in_the_replica()
    {
        SourceWorld world = new(Seed()) { Policy = new SourcePolicy { Frequency = SourceWorld.Frequency, ExcludedDisks = ["vdx", "vdy", "vdz"] } };
        world.Vm.OtherDisks.AddRange(
        [
            new VmDiskFacts("sda", "sata", "cdrom", "raw", "file", "/iso/virtio-win.iso", 1 << 20, ReadOnly: true, Shareable: false),
            new VmDiskFacts("sdb", "sata", "cdrom", "raw", "file", null, 0, ReadOnly: true, Shareable: false),
            new VmDiskFacts("vdx", "virtio", "disk", "qcow2", "file", "/scratch.qcow2", 1 << 20, ReadOnly: false, Shareable: false),
            new VmDiskFacts("vdy", "virtio", "disk", "raw", "file", "/quorum.img", 1 << 20, ReadOnly: false, Shareable: true),
            new VmDiskFacts("vdz", "virtio", "disk", "raw", "block", "/dev/vg/log", 1 << 20, ReadOnly: false, Shareable: false),
        ]);
        bool told = false;
        world.RunUntil(() =>
        {
            if (!told && world.Replica.Points.Count == 2)
            {
                told = true;
                world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            }

            return world.Host?.Guest.Deposed is { Settled: true };
        });
        Assert.Equal(["/vda.qcow2", "/vdb.qcow2", "/scratch.qcow2", "/dev/vg/log"], world.Guard.DisksOf(world.Vm.Id));
        AddImages(world);
        foreach (string other in (string[])["/iso/virtio-win.iso", "/scratch.qcow2", "/quorum.img"])
        {
            world.Images.Images[other] = new ModelImage(1 << 20, null);
        }

        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            Assert.Equal(["/vda.qcow2", "/vdb.qcow2"], host.Kept!.Disks);
            IReadOnlyList<string> left = await host.DeleteKeptAsync(host.Kept.Branch, default);
            Assert.Equal(
                [
                    "disk sda, /iso/virtio-win.iso: the VM only read it",
                    "disk vdx, /scratch.qcow2: it is not replicated, so this is the only copy",
                    "disk vdy, /quorum.img: it is shared between VMs",
                    "disk vdz, /dev/vg/log: it is not replicated, so this is the only copy",
                ],
                left);
        });
        Assert.Equal(["/iso/virtio-win.iso", "/quorum.img", "/scratch.qcow2"], world.Images.Images.Keys);
    }

    /// <summary>The disks are looked at once a minute while the VM is owned here. Whether a disk that came since is in the replica, nobody
    /// can say: it is named, watched by the guard, and left alone.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_disk_that_came_just_before_the_VM_left_is_named_and_stays(bool isRetired)
    {
        SourceWorld world = new(Seed());
        world.RunUntil(() => world.Replica.Points.Count == 2);
        AddImages(world);
        Plug("vdz");
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.DeposeAsync(_second, world.Time.GetUtcNow(), null, default);
            Assert.Equal(["/vda.qcow2", "/vdb.qcow2"], host.Kept!.Disks);
            Assert.Equal([Late("vdz")], host.Kept.Stays);
            Assert.Equal(["/vda.qcow2", "/vdb.qcow2", "/vdz.qcow2"], world.Guard.DisksOf(world.Vm.Id));
            Plug("vdy"); // Given to the old VM since: it goes with the VM, and is named before.
            IReadOnlyList<string> left;
            if (isRetired)
            {
                await host.RetireAsync(null, default);
                RetiredSource retired = (await RetiredSource.OpenAsync(environment, default))!;
                Assert.Equal([Late("vdz"), Late("vdy")], retired.Kept.Stays);
                left = await retired.DeleteAsync(retired.Kept.Branch, default);
            }
            else
            {
                left = await host.DeleteKeptAsync(host.Kept.Branch, default);
            }

            Assert.Equal([Late("vdz"), Late("vdy")], left);
        });
        Assert.Equal(["/vdy.qcow2", "/vdz.qcow2"], world.Images.Images.Keys);

        void Plug(string device)
        {
            world.Vm.OtherDisks.Add(new VmDiskFacts(device, "virtio", "disk", "qcow2", "file", $"/{device}.qcow2", 1 << 20, ReadOnly: false, Shareable: false));
            world.Images.Images[$"/{device}.qcow2"] = new ModelImage(1 << 20, null);
        }

        static string Late(string device) => $"disk {device}, /{device}.qcow2: it came when the VM was about to leave, so this may be the only copy";
    }

    /// <summary>Its name at the guest is that of a disk that the replica has; what it holds was never sent, unless a point came since.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_disk_that_took_the_place_of_a_replicated_one_goes_with_the_old_VM_only_if_a_point_has_it(bool pointSince)
    {
        SourceWorld world = new(Seed());
        Task? pausing = null;
        Task? resuming = null;
        int points = 0;
        bool told = false;
        world.RunUntil(() =>
        {
            if (pausing is null && world.Replica.Points.Count == 2)
            {
                pausing = world.Engine!.PauseAsync("ann", default).AsTask(); // it has points, so it runs
            }

            if (pausing is { IsCompletedSuccessfully: true } && world.Vm.Paths.Count == 0)
            {
                world.Vm.Paths["vda"] = "/other.qcow2";
            }

            if (points == 0 && world.Host?.Guest.Disks.Any(disk => disk.Source == "/other.qcow2") == true)
            {
                points = world.Replica.Points.Count;
                resuming = pointSince ? world.Engine!.ResumeAsync(default).AsTask() : Task.CompletedTask;
            }

            if (!told && resuming is { IsCompletedSuccessfully: true } && (!pointSince || world.Replica.Points.Count > points + 1))
            {
                told = true;
                world.Replica.MoveTo(_second, world.Time.GetUtcNow());
            }

            return world.Host?.Guest.Deposed is { Settled: true };
        });

        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            Assert.Equal(pointSince ? ["/other.qcow2", "/vdb.qcow2"] : ["/vdb.qcow2"], host.Kept!.Disks);
            Assert.Equal(pointSince ? [] : ["disk vda, /other.qcow2: it is not replicated, so this is the only copy"], host.Kept.Stays);
            await host.RetireAsync(null, default);
            RetiredSource retired = (await RetiredSource.OpenAsync(environment, default))!;
            Assert.Equal(pointSince ? 2 : 1, retired.Kept.Disks.Count);
        });
    }

    [Fact]
    public async Task Of_a_linked_disk_the_file_goes_too_and_what_is_anothers_stays()
    {
        SourceWorld world = new(Seed(), 3, 3, 3);
        HandOver walk = new(world) { StopsAtTarget = true };
        world.RunUntil(() => walk.Step());
        AddImages(world);
        world.Images.Images["/pool/real.qcow2"] = new ModelImage(1 << 20, null);
        world.Images.Links["/vda.qcow2"] = "/pool/real.qcow2";
        world.Images.Links["/vdb.qcow2"] = "/dev/mapper/vg-app";
        world.Vm.OtherVms.Add(new VmFacts(
            new VmId(Guid.NewGuid()), "backup", VmRunState.Off, 1, 1 << 20, "bios", "pc", true, false, false,
            [new VmDiskFacts("vdb", "virtio", "disk", "qcow2", "file", "/vdc.qcow2", 1 << 20, ReadOnly: true, Shareable: false)], []));
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.RetireAsync(null, default);
            RetiredSource retired = (await RetiredSource.OpenAsync(environment, default))!;
            Assert.Equal(
                ["/vdb.qcow2: it leads to block device /dev/mapper/vg-app", "/vdc.qcow2: VM backup has it as well"],
                await retired.DeleteAsync(retired.Kept.Branch, default));
        });
        Assert.Equal(["/vdb.qcow2", "/vdc.qcow2"], world.Images.Images.Keys);
    }

    /// <summary>Another VM may have a disk by another name: through a link, or below its own overlay (SEC-7).</summary>
    [Fact]
    public async Task What_another_VM_stands_on_by_another_name_stays()
    {
        SourceWorld world = new(Seed(), 3, 3, 3);
        HandOver walk = new(world) { StopsAtTarget = true };
        world.RunUntil(() => walk.Step());
        AddImages(world);
        world.Images.Links["/by-name/app.qcow2"] = "/vda.qcow2";
        world.Images.Images["/clone/middle.qcow2"] = new ModelImage(1 << 20, new ImageBacking.File("../vdb.qcow2", "qcow2"));
        world.Images.Images["/clone/top.qcow2"] = new ModelImage(1 << 20, new ImageBacking.File("/clone/middle.qcow2", "qcow2"));
        world.Vm.OtherVms.Add(new VmFacts(
            new VmId(Guid.NewGuid()), "clone", VmRunState.Off, 1, 1 << 20, "bios", "pc", true, false, false,
            [
                new VmDiskFacts("vda", "virtio", "disk", "qcow2", "file", "/by-name/app.qcow2", 1 << 20, ReadOnly: true, Shareable: false),
                new VmDiskFacts("vdb", "virtio", "disk", "qcow2", "file", "/clone/top.qcow2", 1 << 20, ReadOnly: false, Shareable: false),
            ],
            []));
        await world.InProcessAsync(async environment =>
        {
            using SourceHost host = (await SourceHost.OpenAsync(environment, world.Policy, default))!;
            await host.RetireAsync(null, default);
            RetiredSource retired = (await RetiredSource.OpenAsync(environment, default))!;
            Assert.Equal(
                ["/vda.qcow2: VM clone has it as well", "/vdb.qcow2: VM clone has it as well"],
                await retired.DeleteAsync(retired.Kept.Branch, default));
        });
        Assert.Equal(["/clone/middle.qcow2", "/clone/top.qcow2", "/vda.qcow2", "/vdb.qcow2"], world.Images.Images.Keys);
    }

    /// <summary>The agent dies before its n-th call to disk, guard or hypervisor, for every n; the orders are given again.</summary>
    [Fact]
    public async Task Retiring_and_deleting_end_the_same_whatever_dies()
    {
        int calls = 0;
        for (bool died = true; died; calls++)
        {
            SourceWorld world = new(5);
            HandOver walk = new(world) { StopsAtTarget = true };
            world.RunUntil(() => walk.Step());
            AddImages(world);
            Life life = new(calls);
            died = await DiesAsync(world, life, async environment =>
            {
                using SourceHost? host = await SourceHost.OpenAsync(environment, world.Policy, default);
                await (host?.RetireAsync(null, default) ?? default);
                RetiredSource? retired = await RetiredSource.OpenAsync(environment, default);
                await (retired?.DeleteAsync(retired.Kept.Branch, default).AsTask() ?? Task.CompletedTask);
                Assert.Null(await SourceHost.OpenAsync(environment, world.Policy, default));
                Assert.Null(await RetiredSource.OpenAsync(environment, default));
            });
            Assert.Empty(world.Images.Images);
            Assert.True(world.Guard.MayStart(world.Vm.Id));
            Assert.Empty(world.Machine.Disk.ListAll("source/app"));
        }

        Assert.True(calls > 20, $"only {calls} calls");
    }

    private static async Task<bool> DiesAsync(SourceWorld world, Life life, Func<SourceHostEnvironment, Task> work)
    {
        try
        {
            await world.InProcessAsync(work, life);
            return false;
        }
        catch (AgentDiedException)
        {
            await world.InProcessAsync(work);
            return true;
        }
    }

    internal static void AddImages(SourceWorld world)
    {
        foreach (DiskNow disk in world.Vm.DisksNow)
        {
            world.Images.Images[$"/{disk.TargetDevice}.qcow2"] = new ModelImage(disk.SizeBytes, null);
        }
    }

    private static ulong Seed() => (ulong)Understudy.Testing.Seed.Next();
}
