using Understudy.Libvirt.Xml;
using Understudy.Protection.Ports;

namespace Understudy.Libvirt.Tests.Xml;

public sealed class HostXmlTests
{
    private const string Capabilities =
        """
        <capabilities>
          <host>
            <cpu><arch>x86_64</arch></cpu>
            <secmodel><model>none</model></secmodel>
            <secmodel><model>dac</model><baselabel type='kvm'>+107:+36</baselabel><baselabel type='qemu'>+64055:+107</baselabel></secmodel>
          </host>
          <guest><os_type>hvm</os_type><arch name='aarch64'><machine>virt</machine></arch></guest>
          <guest><os_type>hvm</os_type><arch name='x86_64'><emulator>/usr/bin/qemu</emulator>
            <machine maxCpus='255'>q35</machine><machine canonical='pc-i440fx-7.2'>pc</machine><machine>pc</machine></arch></guest>
        </capabilities>
        """;

    [Fact]
    public void Machines_of_the_hosts_own_architecture_and_the_user_of_qemu_are_read()
    {
        HostCapabilities read = CapabilitiesXml.Read(Capabilities);

        Assert.Equal(("x86_64", "/usr/bin/qemu", new QemuUser(64055, 107)), (read.Architecture, read.Emulator, read.QemuUser));
        Assert.Equal(["pc", "q35"], read.MachineTypes);
    }

    [Fact]
    public void A_host_that_does_not_switch_users_has_no_user_of_qemu() =>
        Assert.Null(CapabilitiesXml.Read("<capabilities><host><secmodel><model>none</model></secmodel></host></capabilities>").QemuUser);

    [Theory]
    [InlineData("<domainCapabilities><domain>kvm</domain></domainCapabilities>", true)]
    [InlineData("<domainCapabilities><domain>qemu</domain></domainCapabilities>", false)]
    public void Kvm_is_there_when_the_domain_type_says_so(string xml, bool kvm) => Assert.Equal(kvm, CapabilitiesXml.IsKvm(xml));

    [Theory]
    [InlineData("<network><name>a</name><bridge name='b'/></network>", true, "b")]
    [InlineData("<network><name>a</name><forward mode='none'/></network>", true, null)]
    [InlineData("<network><name>a</name><forward mode='nat'/><bridge name='b'/></network>", false, "b")]
    [InlineData("<network><name>a</name><forward/></network>", false, null)]
    public void A_network_without_forwarding_is_isolated(string xml, bool isolated, string? bridge) =>
        Assert.Equal(new NetworkFacts("a", Active: false, isolated, bridge), NetworkXml.Read(xml, active: false));
}
