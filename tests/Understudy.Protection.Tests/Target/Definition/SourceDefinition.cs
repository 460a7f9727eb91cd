namespace Understudy.Protection.Tests.Target.Definition;

/// <summary>A definition with something of everything that a source host can leave in one.</summary>
internal static class SourceDefinition
{
    public const string Uuid = "6f3ac9aa-0000-4000-8000-000000000001";

    public const string Full = """
        <domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
          <name>web1</name>
          <uuid>6f3ac9aa-0000-4000-8000-000000000001</uuid>
          <genid>3b0b2ab3-9d1c-4c46-a9d5-3f2d2f7c1a11</genid>
          <metadata>
            <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0"><libosinfo:os id="http://debian.org/debian/12"/></libosinfo:libosinfo>
            <u:run xmlns:u="urn:understudy:domain:1" id="old"/>
          </metadata>
          <memory unit='KiB'>262144</memory>
          <memoryBacking><hugepages/><nosharepages/></memoryBacking>
          <vcpu placement='static' cpuset='2-3'>2</vcpu>
          <cputune><shares>512</shares><vcpupin vcpu='0' cpuset='2'/></cputune>
          <numatune><memory mode='strict' nodeset='1'/></numatune>
          <resource><partition>/machine</partition></resource>
          <sysinfo type='smbios'><system><entry name='manufacturer'>Acme</entry><entry name='uuid'>6f3ac9aa-0000-4000-8000-000000000001</entry></system></sysinfo>
          <os>
            <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
            <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
            <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/web1_VARS.fd</nvram>
          </os>
          <features><acpi/><apic/></features>
          <cpu mode='host-passthrough' check='none' migratable='on'><topology sockets='1' cores='2' threads='1'/></cpu>
          <clock offset='utc'/>
          <devices>
            <emulator>/opt/source/qemu</emulator>
            <disk type='file' device='disk' snapshot='external'>
              <driver name='qemu' type='qcow2' cache='unsafe' io='native' queues='2' error_policy='report'/>
              <source file='/srv/source/web1.qcow2' index='3'><seclabel model='dac' relabel='no'/></source>
              <backingStore type='file' index='4'><format type='qcow2'/><source file='/srv/source/base.qcow2'/></backingStore>
              <target dev='vda' bus='virtio'/>
              <serial>WEB1-A</serial>
              <boot order='1'/>
              <alias name='virtio-disk0'/>
              <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
            </disk>
            <disk type='block' device='lun' sgio='unfiltered'>
              <driver name='qemu' type='raw' cache='none' io='native'/>
              <source dev='/dev/vg/web1-data'/>
              <target dev='sda' bus='scsi'/>
              <shareable/>
              <alias name='ua-data'/>
            </disk>
            <disk type='file' device='disk'>
              <driver name='qemu' type='qcow2'/><source file='/srv/source/swap.qcow2'/><target dev='vdb' bus='virtio'/>
            </disk>
            <disk type='file' device='cdrom'><source file='/srv/iso/install.iso'/><target dev='sdb' bus='sata'/><readonly/></disk>
            <controller type='pci' index='0' model='pcie-root'/>
            <interface type='network'>
              <mac address='52:54:00:aa:bb:01'/>
              <source network='office' portid='11112222-0000-4000-8000-000000000001' bridge='virbr7'/>
              <target dev='vnet9'/><model type='virtio'/><filterref filter='clean-traffic'/><alias name='net0'/>
              <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
            </interface>
            <interface type='bridge'><mac address='52:54:00:aa:bb:02'/><source bridge='br-backup'/><model type='e1000'/></interface>
            <serial type='file'><source path='/var/log/guests/web1.log'/><target type='isa-serial' port='0'/></serial>
            <serial type='tcp'><source mode='bind' host='10.0.0.5' service='4555'/><protocol type='raw'/><target port='1'/></serial>
            <console type='file' tty='/dev/pts/3'><source path='/var/log/guests/web1.log'/><target type='serial' port='0'/></console>
            <channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/domain-7-web1/org.qemu.guest_agent.0'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
            <graphics type='vnc' port='5907' autoport='no' listen='192.0.2.17'><listen type='address' address='192.0.2.17'/></graphics>
            <video><model type='vga' vram='16384'/></video>
            <hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x06' slot='0x02' function='0x0'/></source></hostdev>
            <filesystem type='mount'><source dir='/srv/share'/><target dir='share'/></filesystem>
            <vsock model='virtio'><cid auto='no' address='7'/></vsock>
            <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
          </devices>
          <seclabel type='dynamic' model='dac' relabel='yes'><label>+64055:+64055</label></seclabel>
        </domain>
        """;
}
