using System.Xml;
using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Xml;

public sealed class DomainXmlTests
{
    private const string Full =
        """
        <domain type='kvm' id='7'>
          <name>billing</name>
          <uuid>e0827487-7396-4ac9-b901-347951423fbc</uuid>
          <memory unit='KiB'>4194304</memory>
          <currentMemory unit='KiB'>2097152</currentMemory>
          <vcpu placement='static' current='2'>8</vcpu>
          <os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
          <devices>
            <disk type='file' device='disk'>
              <driver name='qemu' type='qcow2'/><source file='/images/a.qcow2' index='2'/><backingStore/>
              <mirror type='file' file='/images/copy.qcow2' job='copy' ready='yes'/>
              <target dev='vda' bus='virtio'/>
            </disk>
            <disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/b'/><target dev='sdb' bus='scsi'/><shareable/></disk>
            <disk type='network' device='disk'><driver type='raw'/><source protocol='nbd' name='export'><host transport='unix' socket='/s'/></source><target dev='vdc' bus='virtio'/></disk>
            <disk type='volume' device='disk'><source pool='default' volume='d.img'/><target dev='vdd' bus='virtio'/></disk>
            <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
            <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan'/><model type='virtio'/></interface>
            <interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/></interface>
            <channel type='unix'><target type='virtio' name='com.redhat.spice.0'/></channel>
            <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
          </devices>
        </domain>
        """;

    [Fact]
    public void Devices_of_the_host_are_named_as_they_are_left_out_elsewhere()
    {
        const string Xml = """
            <domain><name>a</name><devices>
              <hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x06' slot='0x02' function='0x1'/></source></hostdev>
              <hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>
              <filesystem type='mount'><source dir='/srv'/><target dir='share'/></filesystem>
              <rng model='virtio'/>
            </devices></domain>
            """;
        string[] expected = ["A host device passed through (PCI 0000:06:02.1)", "A host device passed through (usb)", "The shared folder share"];

        Assert.Equal(expected, DomainXml.Read(Xml).LeftBehind);
        Assert.Equal(expected, DomainXml.ReadStored(Xml).LeftBehind);
        Assert.Empty(DomainXml.Read("<domain><name>bare</name></domain>").LeftBehind);
    }

    [Fact]
    public void Everything_a_definition_says_is_read()
    {
        DomainDescription read = DomainXml.Read(Full);

        Assert.Equal(("billing", 2, 2L << 30, "uefi", "pc-q35-7.2", true), (read.Name, read.Cpus, read.MemoryBytes, read.Firmware, read.MachineType, read.HasGuestAgentChannel));
        Assert.Equal(
            [
                new VmDiskFacts("vda", "virtio", "disk", "qcow2", "file", "/images/a.qcow2", 0, ReadOnly: false, Shareable: false),
                new VmDiskFacts("sdb", "scsi", "disk", "raw", "block", "/dev/vg/b", 0, ReadOnly: false, Shareable: true),
                new VmDiskFacts("vdc", "virtio", "disk", "raw", "network", "nbd:export", 0, ReadOnly: false, Shareable: false),
                new VmDiskFacts("vdd", "virtio", "disk", "raw", "volume", "default/d.img", 0, ReadOnly: false, Shareable: false),
                new VmDiskFacts("sda", "sata", "cdrom", "raw", "file", null, 0, ReadOnly: true, Shareable: false),
            ],
            read.Disks);
        Assert.Equal([new VmNicFacts("52:54:00:00:00:01", "lan", "virtio"), new VmNicFacts("52:54:00:00:00:02", "br0", "")], read.Nics);
    }

    [Theory]
    [InlineData("<understudy:tags xmlns:understudy='urn:understudy:tags:1'>prod, front</understudy:tags>", "prod|front")]
    [InlineData("<u:tags xmlns:u='urn:understudy:tags:1'>\n  prod\n  prod web,\n</u:tags>", "prod|web")]
    [InlineData("<tags xmlns='urn:understudy:tags:1'/>", "")]
    [InlineData("<tags xmlns='urn:others'>prod</tags>", "")]
    public void Tags_are_the_words_of_their_element_whatever_its_prefix(string metadata, string tags) =>
        Assert.Equal(tags, string.Join("|", DomainXml.Read($"<domain><name>a</name><metadata>{metadata}</metadata></domain>").Tags));

    public static TheoryData<string, string, MachineNeeds> Machines => new()
    {
        { "", "", new MachineNeeds("kvm", "x86_64", "q35", null, null, true, null, null, null, null) },
        { "<cpu mode='host-passthrough' check='none' migratable='on'/>", "", new MachineNeeds("kvm", "x86_64", "q35", "host-passthrough", null, false, null, null, null, null) },
        { "<cpu mode='host-model' check='partial'/>", "", new MachineNeeds("kvm", "x86_64", "q35", "host-model", null, true, null, null, null, null) },
        { "<cpu><topology sockets='1' dies='1' cores='2' threads='1'/></cpu>", "", new MachineNeeds("kvm", "x86_64", "q35", null, null, true, null, null, null, null) },
        {
            "<cpu mode='custom' match='exact' check='partial'><model fallback='forbid'>Haswell</model></cpu>", "",
            new MachineNeeds("kvm", "x86_64", "q35", "custom", "Haswell", true, "<cpu mode=\"custom\" match=\"exact\" check=\"partial\"><model fallback=\"forbid\">Haswell</model></cpu>", null, null, null)
        },
        {
            "", "<loader readonly='yes' type='pflash'>/f/CODE.fd</loader><nvram template='/f/VARS.fd'>/n/a.fd</nvram>",
            new MachineNeeds("kvm", "x86_64", "q35", null, null, true, null, null, "/f/CODE.fd", "/f/VARS.fd")
        },
        {
            "", "<kernel>/b/vmlinuz</kernel><initrd>/b/initrd.img</initrd><cmdline>quiet</cmdline>",
            new MachineNeeds("kvm", "x86_64", "q35", null, null, true, null, null, null, null, "/b/vmlinuz", "/b/initrd.img")
        },
    };

    [Theory]
    [MemberData(nameof(Machines))]
    public void What_a_machine_needs_of_a_host_is_read(string cpu, string os, MachineNeeds needs) => Assert.Equal(
        needs, DomainXml.ReadStored($"<domain type='kvm'><name>a</name><os><type arch='x86_64' machine='q35'>hvm</type>{os}</os>{cpu}</domain>").Needs);

    [Fact]
    public void Firmware_that_libvirt_chooses_is_a_need_too() =>
        Assert.Equal("efi", DomainXml.ReadStored("<domain><os firmware='efi'><type>hvm</type></os></domain>").Needs.Firmware);

    [Fact]
    public void A_definition_that_says_almost_nothing_is_read_too()
    {
        DomainDescription read = DomainXml.Read("<domain><name>bare</name></domain>");

        Assert.Equal(("bare", 1, 0L, "bios", "", false), (read.Name, read.Cpus, read.MemoryBytes, read.Firmware, read.MachineType, read.HasGuestAgentChannel));
        Assert.Empty(read.Tags);
        Assert.Empty(read.Disks);
        Assert.Empty(read.Nics);
    }

    [Theory]
    [InlineData("<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>", "uefi")]
    [InlineData("<loader type='rom'>/usr/share/seabios.bin</loader>", "bios")]
    public void Firmware_is_seen_by_its_loader(string loader, string firmware) =>
        Assert.Equal(firmware, DomainXml.Read($"<domain><os>{loader}</os></domain>").Firmware);

    [Theory]
    [InlineData("<memory>2048</memory>", 2L << 20)]
    [InlineData("<memory unit='bytes'>4096</memory>", 4096)]
    [InlineData("<memory unit='GiB'>3</memory>", 3L << 30)]
    [InlineData("<memory unit='TiB'>9223372036854775807</memory>", long.MaxValue)]
    [InlineData("<memory unit='KiB'>lots</memory>", 0)]
    public void Memory_has_many_units_and_no_overflow(string memory, long bytes) =>
        Assert.Equal(bytes, DomainXml.Read($"<domain>{memory}</domain>").MemoryBytes);

    [Theory]
    [InlineData("vda", true)]
    [InlineData("sdb", false)]
    [InlineData("vdz", false)]
    public void A_mirror_is_ready_when_qemu_says_so(string device, bool ready) => Assert.Equal(ready, DomainXml.IsMirrorReady(Full, device));

    [Theory]
    [InlineData("<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>")]
    [InlineData("<domain><name>open</domain>")]
    [InlineData("")]
    public void What_is_not_plain_xml_is_refused(string xml) => Assert.Throws<XmlException>(() => DomainXml.Read(xml));

    [Fact]
    public void A_document_without_end_is_refused()
    {
        string xml = $"<domain><name>{new string('x', 5 * 1024 * 1024)}</name></domain>";

        Assert.Throws<XmlException>(() => DomainXml.Read(xml));
    }
}
