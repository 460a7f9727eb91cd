using Understudy.Blocks.Identity;
using Understudy.Protection.Ports;
using Understudy.Protection.Source;

namespace Understudy.Protection.Tests.Source;

public sealed class DiskChoiceTests
{
    /// <summary>The last change of a planned failover is read from what stands on this host: what does not is said at once, not after
    /// the guest was shut down for it.</summary>
    [Theory]
    [InlineData("file", "/images/web1.qcow2", true)]
    [InlineData("block", "/dev/vg/web1", true)]
    [InlineData("volume", "/images/web1.qcow2", true)]
    [InlineData("volume", "pool/web1.qcow2", true)] // its pool is not started now
    [InlineData("network", "nbd:web1", false)]
    public void A_disk_that_this_host_cannot_read_by_itself_is_not_replicated(string type, string source, bool replicated)
    {
        VmFacts vm = new(
            new VmId(Guid.NewGuid()), "web1", VmRunState.Running, 1, 1 << 30, "bios", "pc", true, false, false,
            [new VmDiskFacts("vda", "virtio", "disk", "qcow2", type, source, 1 << 20, ReadOnly: false, Shareable: false)], []);

        DiskChoice choice = DiskChoice.Of(vm, [], "<domain><devices><disk><target dev='vda'/></disk></devices></domain>");

        Assert.Equal(replicated ? ["vda"] : [], choice.Disks.Select(disk => disk.TargetDevice));
        Assert.Equal(replicated ? [] : ["vda"], choice.Unsuitable.Select(disk => disk.TargetDevice));
    }
}
