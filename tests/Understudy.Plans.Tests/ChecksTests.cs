using Understudy.Blocks.Identity;
using Understudy.Model;

namespace Understudy.Plans.Tests;

public sealed class ChecksTests
{
    private static readonly StorageSpace Roomy = new("/replicas", 100L << 30, 200L << 30, null);

    private static readonly HostFacts Good = new(
        "beta", "0.1.0", null, "9.0.0", "7.2.22", true, 4, 16L << 30, 8L << 30, ["pc-q35-7.2"], [new HostNetwork("default", true, false, null)], Roomy, Roomy,
        CpuModel: "EPYC-Rome", Firmwares: ["bios", "efi"]);

    [Fact]
    public void A_sound_host_passes_everything()
    {
        Assert.All(HostChecks.Evaluate("beta", true, Good, TimeSpan.Zero), finding => Assert.Equal(CheckLevel.Pass, finding.Check.Level));
    }

    [Fact]
    public void A_host_that_is_away_is_one_error()
    {
        Assert.Equal("host-offline", Assert.Single(HostChecks.Evaluate("beta", false, Good, null)).Refusal?.Code);
    }

    [Theory]
    [InlineData("hypervisor", "hypervisor", CheckLevel.Error)]
    [InlineData("old libvirt", "libvirt", CheckLevel.Error)]
    [InlineData("old QEMU", "QEMU", CheckLevel.Error)]
    [InlineData("odd version", "QEMU", CheckLevel.Warning)]
    [InlineData("no KVM", "acceleration", CheckLevel.Warning)]
    [InlineData("little space", "replicas", CheckLevel.Warning)]
    [InlineData("no spool", "spool", CheckLevel.Error)]
    [InlineData("no networks", "networks", CheckLevel.Warning)]
    [InlineData("no UEFI", "firmware", CheckLevel.Warning)]
    [InlineData("little memory", "memory", CheckLevel.Warning)]
    [InlineData("no guard", "start guard", CheckLevel.Warning)]
    [InlineData("clock 3 s", "clock", CheckLevel.Warning)]
    [InlineData("clock 6 min", "clock", CheckLevel.Error)]
    public void What_is_wrong_with_a_host_is_found_with_what_to_do(string fault, string check, CheckLevel expected)
    {
        TimeSpan clock = fault switch { "clock 3 s" => TimeSpan.FromSeconds(-3), "clock 6 min" => TimeSpan.FromMinutes(6), _ => TimeSpan.Zero };
        HostFacts facts = fault switch
        {
            "hypervisor" => Good with { HypervisorError = "connection refused" },
            "old libvirt" => Good with { HypervisorVersion = "7.10.0" },
            "old QEMU" => Good with { EmulatorVersion = "5.2.0" },
            "odd version" => Good with { EmulatorVersion = "master" },
            "no KVM" => Good with { HardwareAcceleration = false },
            "little space" => Good with { Replicas = Roomy with { FreeBytes = 1 << 30 } },
            "no spool" => Good with { Spool = Roomy with { Error = "no such folder" } },
            "no UEFI" => Good with { Firmwares = ["bios"] },
            "little memory" => Good with { FreeMemoryBytes = 256L << 20 },
            "no networks" => Good with { Networks = [] },
            "no guard" => Good with { GuardProblem = "libvirtd looks for no hooks" },
            _ => Good,
        };

        Finding found = Assert.Single(HostChecks.Evaluate("beta", true, facts, clock), finding => finding.Check.Level != CheckLevel.Pass);
        Assert.Equal((check, expected), (found.Check.Name, found.Check.Level));
        Assert.NotNull(found.Check.Remedy);
        Assert.Equal(expected == CheckLevel.Error, found.Refusal is not null);
    }

    [Theory]
    [InlineData("sound", null)]
    [InlineData("off", "vm-unsuitable")]
    [InlineData("no disks", "vm-unsuitable")]
    [InlineData("shared disk", "vm-unsuitable")]
    [InlineData("raw disk", "vm-unsuitable")]
    [InlineData("network disk", "vm-unsuitable")]
    [InlineData("name taken", "name-taken")]
    [InlineData("bad name", "name-unlawful")]
    [InlineData("no space", "no-space")]
    [InlineData("unmapped", "network-unmapped")]
    [InlineData("newer machine", "vm-unsuitable")]
    public void What_stops_protecting_a_vm_is_refused_with_its_own_code(string fault, string? expected)
    {
        DiscoveredVm vm = fault switch
        {
            "off" => Web1 with { Power = VmPower.Off },
            "no disks" => Web1 with { Disks = [Disk with { Device = "cdrom", ReadOnly = true }] },
            "shared disk" => Web1 with { Disks = [Disk with { Shareable = true }] },
            "network disk" => Web1 with { Disks = [Disk with { SourceType = "network" }] },
            "raw disk" => Web1 with { Disks = [Disk with { Format = "raw" }] },
            "newer machine" => Web1 with { MachineType = "pc-q35-10.1" },
            _ => Web1,
        };
        IReadOnlyList<Finding> findings = VmChecks.Evaluate(
            vm,
            "alpha",
            "beta",
            fault == "no space" ? Good with { Replicas = Roomy with { FreeBytes = 1 << 30 } } : Good,
            fault == "name taken" ? ["web1", "web1-2"] : [],
            fault == "bad name" ? "-web1-" : "web1",
            fault == "unmapped" ? Errors.NetworkUnmapped("dmz", "lyon", "berlin") : null);

        Assert.Equal(expected, findings.FirstOrDefault(finding => finding.Refusal is not null)?.Refusal?.Code);
    }

    /// <summary>Said before there is a failover, of a VM that is off as well.</summary>
    [Theory]
    [InlineData(VmPower.Running)]
    [InlineData(VmPower.Off)]
    public void What_stays_behind_and_who_else_has_its_disk_is_said_beforehand(VmPower power)
    {
        DiscoveredVm vm = Web1 with { Power = power, LeftBehind = ["A host device passed through (PCI 0000:06:02.0)"] };
        DiscoveredVm other = Web1 with { Id = new VmId(Guid.NewGuid()), Name = "old-web" };
        DiscoveredVm stranger = other with { Name = "stranger", Disks = [Disk with { Source = "/images/other.qcow2" }] };

        Finding[] findings = [.. VmChecks.Evaluate(vm, "alpha", "beta", Good, [], "web1", null, neighbours: [vm, other, stranger])];
        CheckResult device = findings.Single(finding => finding.Check.Name == "devices").Check;
        CheckResult disk = findings.Single(finding => finding.Check.Name == "same disk").Check;

        Assert.Equal((CheckLevel.Warning, CheckLevel.Warning), (device.Level, disk.Level));
        Assert.Contains("PCI 0000:06:02.0", device.Finding, StringComparison.Ordinal);
        Assert.Contains("old-web", disk.Finding, StringComparison.Ordinal);
        Assert.DoesNotContain(VmChecks.Evaluate(vm, "alpha", "beta", Good, [], "web1", null, excluded: ["vda"], neighbours: [vm, other]), finding => finding.Check.Name == "same disk");
    }

    [Fact]
    public void A_taken_name_comes_with_a_free_one()
    {
        IReadOnlyList<Finding> findings = VmChecks.Evaluate(Web1, "alpha", "beta", Good, ["web1", "web1-2"], "web1", null);

        Assert.Contains("web1-3", findings.Single(finding => finding.Refusal is not null).Check.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    // the NIC's network, choice, map to, use map -> target network or error
    [InlineData("default", null, "lan", true, "lan")]
    [InlineData("default", "dmz", "lan", true, "dmz")]
    [InlineData("default", "none", "lan", true, null)]
    [InlineData("default", null, null, false, null)]
    [InlineData("default", null, null, true, "network-unmapped")]
    [InlineData("default", "dmz", null, true, "dmz")]
    [InlineData("default", "nowhere", null, true, "network-unknown")]
    [InlineData(null, null, null, true, null)]
    public void Nic_goes_where_the_user_says_then_where_the_map_says(string? network, string? choice, string? mapped, bool useMap, string? expected)
    {
        (IReadOnlyList<NicPlan> plans, ErrorInfo? error) = NicPlanner.Plan(
            [new DiscoveredNic("52:54:00:aa:bb:cc", network, "virtio")],
            choice is null ? [] : [new NicChoice("52:54:00:AA:BB:CC", choice, null, null)],
            mapped is null ? [] : [new NetworkMapping(default, "default", default, mapped, null, false)],
            useMap,
            "lyon",
            "berlin",
            "beta",
            [new HostNetwork("lan", true, false, null), new HostNetwork("dmz", true, false, null)]);

        Assert.Equal(expected, error is null ? Assert.Single(plans).TargetNetwork : error.Code);
        Assert.True(error?.Code != "network-unmapped" || error.Next.Contains("`understudy network map default --to NETWORK --from-site lyon --to-site berlin`", StringComparison.Ordinal), error?.Next);
    }

    [Fact]
    public void A_choice_for_a_nic_that_is_not_there_is_wrong_use()
    {
        (_, ErrorInfo? error) = NicPlanner.Plan([], [new NicChoice("52:54:00:00:00:09", "lan", null, null)], [], true, "lyon", "berlin", "beta", []);

        Assert.Equal(ErrorKind.WrongUse, error?.Kind);
    }

    [Fact]
    public void One_network_on_each_side_is_mapped_both_ways_by_itself()
    {
        SiteId lyon = new(Guid.NewGuid());
        SiteId berlin = new(Guid.NewGuid());

        IReadOnlyList<NetworkMapping> filled = NicPlanner.Automatic(lyon, ["default"], berlin, ["lan"], []);
        Assert.Equal([("default", "lan"), ("lan", "default")], filled.Select(mapping => (mapping.SourceNetwork, mapping.TargetNetwork)));
        Assert.Empty(NicPlanner.Automatic(lyon, ["default", "dmz"], berlin, ["lan"], []));
        Assert.Single(NicPlanner.Automatic(lyon, ["default"], berlin, ["lan"], [filled[0] with { TargetNetwork = "other", Automatic = false }]));
    }

    private static DiscoveredDisk Disk { get; } = new("vda", "virtio", "disk", "qcow2", "file", "/images/a.qcow2", 4L << 30, false, false);

    private static DiscoveredVm Web1 { get; } = new(
        new VmId(Guid.NewGuid()), "web1", VmPower.Running, 2, 1L << 30, "bios", "pc-q35-7.2", true, true, false, [Disk], []);
}
