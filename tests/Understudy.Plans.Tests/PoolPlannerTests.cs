using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class PoolPlannerTests
{
    private static readonly SiteId _here = new(Guid.NewGuid());
    private static readonly SiteId _there = new(Guid.NewGuid());
    private static readonly StorageMapping[] _map = [new(_here, "fast", _there, "tank"), new(_here, "slow", _there, "none")];

    private static readonly HostFacts _source = Facts(new HostPool("images", "dir", "/images", true, 1, 1), new HostPool("fast", "fs", "/images/fast/", true, 1, 1), new HostPool("slow", "dir", "/slow", true, 1, 1));

    private static readonly HostFacts _target = Facts(
        new HostPool("tank", "fs", "/tank", true, 1, 1), new HostPool("off", "netfs", "/off", false, 0, 0), new HostPool("vg", "logical", "/dev/vg", true, 0, 0));

    [Theory]
    [InlineData(null, "/images/web1.qcow2", null)] // its pool is not mapped
    [InlineData(null, "/images/fast/web1.qcow2", "tank")] // of pools within each other, the inner one
    [InlineData(null, "/images/fastest/web1.qcow2", null)]
    [InlineData(null, "/slow/web1.qcow2", null)] // mapped to the agent's own folders
    [InlineData(null, "/elsewhere/web1.qcow2", null)]
    [InlineData(null, null, null)]
    [InlineData("none", "/images/fast/web1.qcow2", null)] // said so
    [InlineData("tank", "/slow/web1.qcow2", "tank")]
    public void The_choice_comes_first_then_the_map_then_the_agents_own_folders(string? wanted, string? image, string? pool)
    {
        (HostPool? found, ErrorInfo? error) = PoolPlanner.Plan(wanted, Vm(image), _source, _map, "beta", _target);

        Assert.Null(error);
        Assert.Equal(pool, found?.Name);
    }

    [Theory]
    [InlineData("gone", "pool-unknown")]
    [InlineData("off", "pool-unusable")]
    [InlineData("vg", "pool-unusable")]
    public void A_pool_that_cannot_hold_a_replica_is_refused(string wanted, string code) =>
        Assert.Equal(code, PoolPlanner.Plan(wanted, Vm("/images/a"), _source, _map, "beta", _target).Error?.Code);

    [Fact]
    public void A_mapping_to_a_pool_that_this_host_does_not_have_is_refused_and_not_passed_over() =>
        Assert.Equal("pool-unknown", PoolPlanner.Plan(null, Vm("/images/fast/a"), _source, _map, "gamma", Facts()).Error?.Code);

    private static HostFacts Facts(params HostPool[] pools) => new(
        "h", "1", null, "9.0", "7.2", true, 8, 1L << 34, 1L << 33, ["pc"], [], new StorageSpace("/r", 1, 1, null), new StorageSpace("/s", 1, 1, null), Pools: pools);

    private static DiscoveredVm Vm(string? image) => new(
        new VmId(Guid.NewGuid()), "web1", VmPower.Running, 1, 1 << 30, "bios", "pc", true, false, false,
        [
            new DiscoveredDisk("sda", "sata", "cdrom", "raw", "file", "/slow/dvd.iso", 1, true, false),
            new DiscoveredDisk("vda", "virtio", "disk", "qcow2", "file", image, 1, false, false),
            new DiscoveredDisk("vdb", "virtio", "disk", "qcow2", "file", "/images/fast/other.qcow2", 1, false, false),
        ],
        []);
}
