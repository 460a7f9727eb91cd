# shellcheck shell=bash
# eng/lab/guests.sh: builds the lab's guest once and puts guests on a host. Sourced by up.sh.

# Prints the folder of the built guest (see guest/build.sh), building it when its inputs have changed.
built_guest() {
    local guest=$LAB_ROOT/eng/lab/guest key built kernel=$LAB_CACHE/kernel
    key=$(cat "$guest"/{build.sh,init,rec.c} | sha256sum | cut -c1-12)
    built=$LAB_CACHE/guest-$key
    if [ ! -f "$built/boot.raw" ]; then
        mkdir -p "$LAB_CACHE"
        [ -d "$kernel" ] || "$guest/kernel.sh" "$kernel"
        rm -rf "$LAB_CACHE"/guest-*
        "$guest/build.sh" "$kernel" "$built"
    fi
    ln -sfn "guest-$key" "$LAB_CACHE/guest"
    echo "$built"
}

# The storage and networks that a host offers its guests. Both sites have a network `lan`, of different addresses; south
# has a second one, so that there is a choice to make when networks are mapped.
furnish_site() {
    local site=$1
    if ! inside "$site" virsh pool-info default >/dev/null 2>&1; then
        inside "$site" virsh -q pool-define-as default dir --target "$LAB_DIR/$site/images" >/dev/null
        inside "$site" virsh -q pool-autostart default >/dev/null
        inside "$site" virsh -q pool-start default >/dev/null
    fi
    add_network "$site" lan "$(lan_of "$site")"
    [ "$site" != south ] || add_network "$site" backstage "$LAB_NET.3"
}

# add_network SITE NAME A.B.C: an isolated network with DHCP. No forwarding: the lab has no way out.
add_network() {
    local site=$1 name=$2 prefix=$3
    ! inside "$site" virsh net-info "$name" >/dev/null 2>&1 || return 0
    inside "$site" virsh -q net-define /dev/stdin <<XML
<network>
  <name>$name</name>
  <bridge name='br-$name' stp='off' delay='0'/>
  <ip address='$prefix.1' netmask='255.255.255.0'>
    <dhcp><range start='$prefix.100' end='$prefix.199'/></dhcp>
  </ip>
</network>
XML
    inside "$site" virsh -q net-autostart "$name"
    inside "$site" virsh -q net-start "$name"
}

# Puts a guest on a site and starts it: vda boots, vdb and vdc hold the records.
add_guest() {
    local site=$1 guest=$2 built=$3 images=$LAB_DIR/$1/images disk
    if ! inside "$site" virsh dominfo "$guest" >/dev/null 2>&1; then
        "$LAB_ROOT/eng/lab/guest/image.sh" "$built" "$guest" "$LAB_RECORD_MS" "$images/$guest-boot.qcow2"
        for disk in a b; do
            qemu-img create -q -f qcow2 "$images/$guest-$disk.qcow2" "${LAB_DATA_MIB}M"
        done
        domain_xml "$site" "$guest" | inside "$site" virsh -q define /dev/stdin
    fi
    [ "$(inside "$site" virsh domstate "$guest")" = running ] && return 0
    rm -f "$(serial_of "$site" "$guest")"
    inside "$site" virsh -q start "$guest"
}

# Succeeds when the guest on that serial line has verified its records and writes new ones.
guest_is_ready() { grep -aq '^READY ' "$(serial_of "$1" "$2")"; }

wait_for_guest() {
    local serial
    serial=$(serial_of "$1" "$2")
    wait_for 60 "guest $2 on $1 to be ready (its serial line: $serial)" guest_is_ready "$1" "$2"
}

domain_xml() {
    local site=$1 guest=$2 images=$LAB_DIR/$1/images cpu="<model>qemu64</model>"
    local mac
    mac=52:54:00:$(printf '%s' "$guest" | sha256sum | sed 's/\(..\)\(..\)\(..\).*/\1:\2:\3/')
    cpu="<cpu mode='custom' match='exact'><model>qemu64</model></cpu>"
    [ "$LAB_ACCEL" != kvm ] || cpu="<cpu mode='host-model'/>"
    cat <<XML
<domain type='$LAB_ACCEL'>
  <name>$guest</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  $cpu
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
$(disk_xml vda "$images/$guest-boot.qcow2")
$(disk_xml vdb "$images/$guest-a.qcow2")
$(disk_xml vdc "$images/$guest-b.qcow2")
    <interface type='network'><mac address='$mac'/><source network='lan'/><model type='virtio'/></interface>
    <serial type='file'><source path='/var/log/libvirt/qemu/serial-$guest.log'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <video><model type='vga' vram='16384'/></video>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
}

disk_xml() {
    cat <<XML
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' discard='unmap'/>
      <source file='$2'/><target dev='$1' bus='virtio'/>
    </disk>
XML
}
