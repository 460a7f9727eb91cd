using System.Xml.Linq;
using System.Xml.XPath;
using Understudy.Blocks.Identity;
using Understudy.Protection.Target.Definition;

namespace Understudy.Protection.Tests.Target.Definition;

public sealed class DomainTransformerTests
{
    private static readonly VmId NewId = new(Guid.Parse("11111111-2222-4333-8444-555555555555"));

    private static readonly DomainTransform ToTest = new(
        TransformKind.Test,
        "web1-test",
        NewId,
        new Dictionary<string, DiskImage> { ["vda"] = new("/pool/web1/a.qcow2", "qcow2"), ["sda"] = new("/pool/web1/b.qcow2", "qcow2") },
        new NetworkPlacement.All("web1-test-bubble"),
        "/var/log/understudy",
        new TargetCapabilities(HardwareAcceleration: true),
        VmSize.AsInPoint);

    /// <summary>What the result must say at a place: an XPath, and the value found there; null for "nothing there".</summary>
    [Theory]
    [InlineData("/domain/@id", null)]
    [InlineData("/domain/@type", "kvm")]
    [InlineData("/domain/name", "web1-test")]
    [InlineData("/domain/uuid", "11111111-2222-4333-8444-555555555555")]
    [InlineData("/domain/genid", "")]
    [InlineData("count(/domain/metadata/*)", "1")]
    [InlineData("/domain/memory", "262144")]
    [InlineData("/domain/memoryBacking/hugepages", null)]
    [InlineData("count(/domain/memoryBacking/nosharepages)", "1")]
    [InlineData("/domain/vcpu", "2")]
    [InlineData("/domain/vcpu/@cpuset", null)]
    [InlineData("/domain/cputune/shares", "512")]
    [InlineData("/domain/cputune/vcpupin", null)]
    [InlineData("/domain/numatune", null)]
    [InlineData("/domain/resource", null)]
    [InlineData("/domain/seclabel", null)]
    [InlineData("/domain/sysinfo/system/entry[@name='manufacturer']", "Acme")]
    [InlineData("/domain/sysinfo/system/entry[@name='uuid']", null)]
    [InlineData("/domain/os/type/@machine", "pc-q35-7.2")]
    [InlineData("/domain/os/loader", "/usr/share/OVMF/OVMF_CODE_4M.fd")]
    [InlineData("/domain/os/nvram", "")]
    [InlineData("/domain/os/nvram/@template", "/usr/share/OVMF/OVMF_VARS_4M.fd")]
    [InlineData("/domain/cpu/@mode", "host-passthrough")]
    [InlineData("/domain/devices/emulator", null)]
    [InlineData("count(/domain/devices/disk)", "3")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/source/@file", "/pool/web1/a.qcow2")]
    [InlineData("count(/domain/devices/disk[target/@dev='vda']/source/*)", "0")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/@snapshot", null)]
    [InlineData("/domain/devices/disk[target/@dev='vda']/driver/@type", "qcow2")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/driver/@cache", "none")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/driver/@queues", "2")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/driver/@discard", "unmap")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/driver/@error_policy", "stop")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/driver/@rerror_policy", "stop")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/backingStore", null)]
    [InlineData("/domain/devices/disk[target/@dev='vda']/alias", null)]
    [InlineData("/domain/devices/disk[target/@dev='vda']/serial", "WEB1-A")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/boot/@order", "1")]
    [InlineData("/domain/devices/disk[target/@dev='vda']/address/@bus", "0x04")]
    [InlineData("/domain/devices/disk[target/@dev='sda']/@type", "file")]
    [InlineData("/domain/devices/disk[target/@dev='sda']/@device", "disk")]
    [InlineData("/domain/devices/disk[target/@dev='sda']/@sgio", null)]
    [InlineData("/domain/devices/disk[target/@dev='sda']/source/@dev", null)]
    [InlineData("/domain/devices/disk[target/@dev='sda']/source/@file", "/pool/web1/b.qcow2")]
    [InlineData("/domain/devices/disk[target/@dev='sda']/driver/@type", "qcow2")]
    [InlineData("/domain/devices/disk[target/@dev='sda']/driver/@io", "native")]
    [InlineData("/domain/devices/disk[target/@dev='sda']/shareable", null)]
    [InlineData("/domain/devices/disk[target/@dev='sda']/alias/@name", "ua-data")]
    [InlineData("/domain/devices/disk[target/@dev='vdb']", null)]
    [InlineData("count(/domain/devices/disk[@device='cdrom'])", "1")]
    [InlineData("/domain/devices/disk[@device='cdrom']/source", null)]
    [InlineData("count(/domain/devices/controller)", "1")]
    [InlineData("count(/domain/devices/interface[@type='network'])", "2")]
    [InlineData("count(/domain/devices/interface/source[@network='web1-test-bubble'])", "2")]
    [InlineData("/domain/devices/interface[1]/mac/@address", "52:54:00:aa:bb:01")]
    [InlineData("/domain/devices/interface[1]/source/@portid", null)]
    [InlineData("/domain/devices/interface[1]/target", null)]
    [InlineData("/domain/devices/interface[1]/filterref", null)]
    [InlineData("/domain/devices/interface[1]/address/@bus", "0x01")]
    [InlineData("/domain/devices/interface[2]/model/@type", "e1000")]
    [InlineData("/domain/devices/serial[1]/source/@path", "/var/log/understudy/web1-test-serial0.log")]
    [InlineData("/domain/devices/serial[2]/@type", "pty")]
    [InlineData("/domain/devices/serial[2]/source", null)]
    [InlineData("/domain/devices/serial[2]/protocol", null)]
    [InlineData("/domain/devices/console/@tty", null)]
    [InlineData("/domain/devices/channel/source", null)]
    [InlineData("/domain/devices/channel/target/@name", "org.qemu.guest_agent.0")]
    [InlineData("/domain/devices/graphics/@port", "-1")]
    [InlineData("/domain/devices/graphics/@autoport", "yes")]
    [InlineData("/domain/devices/graphics/@listen", null)]
    [InlineData("/domain/devices/graphics/listen/@address", "127.0.0.1")]
    [InlineData("/domain/devices/hostdev", null)]
    [InlineData("/domain/devices/filesystem", null)]
    [InlineData("/domain/devices/vsock/cid/@auto", "yes")]
    [InlineData("/domain/devices/vsock/cid/@address", null)]
    [InlineData("/domain/devices/tpm/backend/@type", "emulator")]
    public void The_guests_side_stays_and_the_source_hosts_side_goes(string path, string? expected) =>
        Assert.Equal(expected, Value(DomainTransformer.Transform(SourceDefinition.Full, ToTest).Xml, path));

    [Theory]
    [InlineData("Disk vdb is not replicated")]
    [InlineData("The medium in drive sdb was ejected")]
    [InlineData("A host device passed through (PCI 0000:06:02.0) was left out")]
    [InlineData("The shared folder share was left out")]
    [InlineData("Packet filter clean-traffic")]
    [InlineData("Pinning")]
    [InlineData("Huge pages")]
    public void What_an_owner_may_notice_is_in_the_notes(string note) =>
        Assert.Contains(DomainTransformer.Transform(SourceDefinition.Full, ToTest).Notes, said => said.StartsWith(note, StringComparison.Ordinal));

    /// <summary>libvirtd reads the files of a definition as root and shows them to the guest.</summary>
    [Theory]
    [InlineData("<os>", "<os><kernel>/etc/shadow</kernel><initrd>/root/key</initrd>", "count(/domain/os/kernel|/domain/os/initrd)", "0")]
    [InlineData("<os>", "<os><kernel>/usr/share/../../etc/shadow</kernel>", "count(/domain/os/kernel)", "0")]
    [InlineData("<os>", "<os><kernel>/var/lib/libvirt/boot/vmlinuz</kernel>", "/domain/os/kernel", "/var/lib/libvirt/boot/vmlinuz")]
    [InlineData("<os>", "<os><kernel>/boot/k</kernel><initrd>/var/lib/libvirt/boot/i</initrd><cmdline>quiet</cmdline><dtb>/usr/share/d</dtb>", "count(/domain/os/kernel|/domain/os/initrd|/domain/os/cmdline|/domain/os/dtb)", "0")]
    [InlineData("<os>", "<os><kernel>/usr/lib/k</kernel><initrd>/root/i</initrd><cmdline>quiet</cmdline>", "/domain/os/cmdline", "quiet")]
    [InlineData("/usr/share/OVMF/OVMF_CODE_4M.fd", "/opt/CODE.fd", "count(/domain/os/nvram)", "0")]
    [InlineData("/usr/share/OVMF/OVMF_VARS_4M.fd", "/etc/shadow", "/domain/os/nvram/@template", null)]
    [InlineData("/usr/share/OVMF/OVMF_CODE_4M.fd", "/etc/shadow", "/domain/os/loader", null)]
    [InlineData("<devices>", "<qemu:commandline><qemu:arg value='-drive'/></qemu:commandline><devices>", "count(/domain/*[local-name()='commandline'])", "0")]
    [InlineData("<devices>", "<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo><devices>", "count(//entry[@file])", "0")]
    [InlineData("<devices>", "<devices><rng model='virtio'><backend model='random'>/etc/shadow</backend></rng>", "/domain/devices/rng/backend", "/dev/urandom")]
    [InlineData("<devices>", "<devices><memory model='nvdimm'><source><path>/etc/shadow</path></source></memory>", "count(/domain/devices/memory)", "0")]
    [InlineData("<model type='virtio'/>", "<model type='virtio'/><rom bar='on' file='/etc/shadow'/>", "count(/domain/devices//rom/@file)", "0")]
    [InlineData("<video><model", "<video><rom file='/etc/shadow'/><model", "count(/domain/devices//rom/@file)", "0")]
    public void A_definition_of_another_host_names_no_file_of_this_one(string place, string replaced, string path, string? expected) =>
        Assert.Equal(expected, Value(DomainTransformer.Transform(SourceDefinition.Full.Replace(place, replaced, StringComparison.Ordinal), ToTest).Xml, path));

    /// <summary>What the source host has and this one may not: the start must not fail for it, and its owner hears of it.</summary>
    [Theory]
    [InlineData("<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>", "/domain/devices/rng/backend", "/dev/urandom", "The guest's source of random numbers")]
    [InlineData("<rng model='virtio'><backend model='egd' type='unix'><source mode='connect' path='/run/egd'/></backend></rng>", "count(/domain/devices/rng/backend[@model='random'][not(*)][not(@type)])", "1", "The guest's source of random numbers")]
    [InlineData("<rng model='virtio'><backend model='random'>/dev/random</backend></rng>", "/domain/devices/rng/backend", "/dev/random", null)]
    [InlineData("<rng model='virtio'><backend model='builtin'/></rng>", "/domain/devices/rng/backend/@model", "builtin", null)]
    [InlineData("<graphics type='sdl' display=':0' xauth='/root/.Xauthority'/>", "count(/domain/devices/graphics[@type='sdl'])", "0", "A window on the host's own screen")]
    [InlineData("<graphics type='egl-headless'><gl rendernode='/dev/dri/renderD128'/></graphics>", "count(/domain/devices/graphics[@type='egl-headless'])", "0", "Drawing by the host's graphics card")]
    [InlineData("<graphics type='spice'><gl enable='yes' rendernode='/dev/dri/renderD128'/></graphics>", "count(/domain/devices/graphics/gl)", "0", "Acceleration of graphics")]
    [InlineData("<video><model type='virtio'><acceleration accel3d='yes' rendernode='/dev/dri/renderD128'/></model></video>", "/domain/devices/video/model/acceleration/@accel3d", "no", "Acceleration of graphics")]
    [InlineData("<tpm model='tpm-tis'><backend type='emulator'><encryption secret='6dd3e4a5-1d76-44ce-961f-f119f5aad935'/></backend></tpm>", "count(/domain/devices/tpm/backend/*)", "0", "Where the TPM keeps its state")]
    [InlineData("<tpm model='tpm-tis'><backend type='emulator'><source type='dir' path='/srv/tpm'/></backend></tpm>", "count(/domain/devices/tpm/backend/*)", "0", "Where the TPM keeps its state")]
    [InlineData("<graphics type='dbus' address='unix:path=/run/bus'/>", "count(/domain/devices/graphics[@type='dbus']/@address)", "0", null)]
    public void What_only_the_source_host_has_is_left_out_and_said(string device, string path, string expected, string? note)
    {
        TransformedDomain transformed = DomainTransformer.Transform(SourceDefinition.Full.Replace("<devices>", "<devices>" + device, StringComparison.Ordinal), ToTest);

        Assert.Equal(expected, Value(transformed.Xml, path));
        string[] usual = [.. DomainTransformer.Transform(SourceDefinition.Full, ToTest).Notes];
        string[] said = [.. transformed.Notes.Except(usual)];
        Assert.Equal(note is null ? 0 : 1, said.Length);
        Assert.All(said, sentence => Assert.StartsWith(note ?? "", sentence, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/domain/@type", "qemu")]
    [InlineData("/domain/cpu/@mode", "maximum")]
    [InlineData("/domain/cpu/@migratable", null)]
    [InlineData("/domain/cpu/topology/@cores", "2")]
    public void Without_KVM_the_guest_is_emulated_with_a_processor_that_emulation_has(string path, string? expected) =>
        Assert.Equal(expected, Value(DomainTransformer.Transform(SourceDefinition.Full, ToTest with { Target = new TargetCapabilities(false) }).Xml, path));

    [Fact]
    public void A_failover_plugs_each_card_into_the_network_mapped_for_it()
    {
        DomainTransform failover = ToTest with
        {
            Kind = TransformKind.Failover,
            Name = "web1",
            Networks = new NetworkPlacement.Planned(
            [
                new CardPlan("52:54:00:AA:BB:01", "berlin-office"),
                new CardPlan("52:54:00:aa:bb:02", "berlin-backup", "52:54:00:01:02:03"),
            ]),
        };
        string xml = DomainTransformer.Transform(SourceDefinition.Full, failover).Xml;
        Assert.Equal("berlin-office", Value(xml, "/domain/devices/interface[1]/source/@network"));
        Assert.Equal("52:54:00:aa:bb:01", Value(xml, "/domain/devices/interface[1]/mac/@address"));
        Assert.Equal("berlin-backup", Value(xml, "/domain/devices/interface[2]/source/@network"));
        Assert.Equal("52:54:00:01:02:03", Value(xml, "/domain/devices/interface[2]/mac/@address"));
    }

    [Fact]
    public void An_unmapped_network_is_refused_by_name_with_the_next_step()
    {
        DomainTransform failover = ToTest with
        {
            Networks = new NetworkPlacement.Planned([new CardPlan("52:54:00:aa:bb:01", "berlin-office")]),
        };
        RefusedException refused = Assert.Throws<RefusedException>(() => DomainTransformer.Transform(SourceDefinition.Full, failover));
        Assert.Equal(RefusalCode.NetworkUnmapped, refused.Code);
        Assert.Contains("'br-backup'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("understudy network map br-backup", refused.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_card_planned_to_be_unplugged_is_left_out_and_noted()
    {
        TransformedDomain domain = DomainTransformer.Transform(
            SourceDefinition.Full,
            ToTest with { Networks = new NetworkPlacement.Planned([new CardPlan("52:54:00:aa:bb:01", null), new CardPlan("52:54:00:aa:bb:02", "n")]) });
        Assert.Equal("1", Value(domain.Xml, "count(/domain/devices/interface)"));
        Assert.Contains("Network card 52:54:00:aa:bb:01 was left out.", domain.Notes);
    }

    [Fact]
    public void With_no_network_the_cards_are_left_out() =>
        Assert.Equal("0", Value(DomainTransformer.Transform(SourceDefinition.Full, ToTest with { Networks = new NetworkPlacement.None() }).Xml, "count(/domain/devices/interface)"));

    [Fact]
    public void A_disk_of_the_point_that_the_definition_lacks_is_refused()
    {
        DomainTransform extra = ToTest with { Disks = new Dictionary<string, DiskImage>(ToTest.Disks) { ["vdz"] = new("/pool/z", "qcow2") } };
        RefusedException refused = Assert.Throws<RefusedException>(() => DomainTransformer.Transform(SourceDefinition.Full, extra));
        Assert.Equal(RefusalCode.Definition, refused.Code);
        Assert.Contains("vdz", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("not xml")]
    [InlineData("<network/>")]
    [InlineData("<domain><name>x</name></domain>")]
    [InlineData("<!DOCTYPE d [<!ENTITY a 'b'>]><domain/>")]
    public void Something_that_is_no_definition_is_refused(string xml) =>
        Assert.Equal(RefusalCode.Definition, Assert.Throws<RefusedException>(() => DomainTransformer.Transform(xml, ToTest)).Code);

    [Fact]
    public void Two_tests_of_one_VM_share_no_file_name()
    {
        string one = DomainTransformer.Transform(SourceDefinition.Full, ToTest).Xml;
        string two = DomainTransformer.Transform(SourceDefinition.Full, ToTest with { Name = "web1-test-2" }).Xml;
        Assert.NotEqual(Value(one, "/domain/devices/serial[1]/source/@path"), Value(two, "/domain/devices/serial[1]/source/@path"));
    }

    [Fact]
    public void Transforming_a_result_again_changes_nothing_more()
    {
        DomainTransform failover = ToTest with { Networks = new NetworkPlacement.All("n") };
        string once = DomainTransformer.Transform(SourceDefinition.Full, failover).Xml;
        Assert.Equal(once, DomainTransformer.Transform(once, failover).Xml);
    }

    [Theory]
    [InlineData(0, "us-bubble0", "198.18.0.1")]
    [InlineData(255, "us-bubble255", "198.18.255.1")]
    [InlineData(256, "us-bubble256", "198.19.0.1")]
    [InlineData(511, "us-bubble511", "198.19.255.1")]
    public void A_bubble_has_no_way_out_and_a_bridge_name_that_fits(int number, string bridge, string address)
    {
        TestNetwork network = TestNetwork.For(new string('x', 63), Guid.Empty, number);
        Assert.Equal(bridge, network.Bridge);
        Assert.True(network.Bridge.Length <= 15);
        XElement xml = XElement.Parse(network.Xml);
        Assert.Null(xml.Element("forward"));
        Assert.Equal(address, (string?)xml.Element("ip")?.Attribute("address"));
    }

    [Fact]
    public void A_new_MAC_is_in_the_prefix_of_QEMU_guests() =>
        Assert.Equal("52:54:00:12:ab:cd", MacAddress.FromRandom((UInt128)0xff12abcd));

    private static string? Value(string xml, string path) => new XDocument(XElement.Parse(xml)).CreateNavigator().Evaluate(path) switch
    {
        double count => count.ToString(System.Globalization.CultureInfo.InvariantCulture),
        XPathNodeIterator nodes when nodes.MoveNext() => nodes.Current!.Value, // Not null after MoveNext said so.
        _ => null,
    };
}
