# shellcheck shell=bash
# eng/lab/place.sh: makes and ends the lab's three places (see lib.sh). Sourced by up.sh and down.sh.

# Starts the process that keeps a place's namespaces alive. On a site the machine's own libvirt folders are covered by
# the site's: /etc/libvirt, /var/lib/libvirt, /var/log/libvirt, /var/cache/libvirt, and the whole of /run, so that
# nothing inside finds the machine's sockets (D-Bus, udev, another libvirt).
#
# Emulation gets a /dev without kvm. libvirt throws away what it knows about QEMU, and probes it again for 4 s in nearly every
# call, when root could use KVM at the probe but QEMU's own user cannot (seen: /dev/kvm of mode 0600, `virsh define` 75 s).
start_holder() {
    local place=$1 dir=$LAB_DIR/$1 name
    name=$(holder_name "$place")
    ! holder_of "$place" >/dev/null || return 0
    [ -z "$(netns_of "$place" || true)" ] || die "$place has lost the process that kept it: ./lab down, then ./lab up"
    mkdir -p "$dir"
    rm -f "$dir/holder.pid"
    new_boot_id "$dir"
    # shellcheck disable=SC2016  # expanded by the inner shell, from its arguments
    setsid unshare --mount --net --propagation private env -i PATH="$PATH" bash -c '
        set -e
        dir=$1 place=$2 name=$3 accel=$4
        ip link set lo up
        mount -t sysfs sysfs /sys   # so that /sys/class/net shows this namespace, not the machine
        if [ "$place" != hub ]; then
            mkdir -p "$dir"/{etc/hooks/qemu.d,lib/images,lib/qemu,lib/dnsmasq,lib/network,lib/boot,log/qemu,cache,run/libvirt,run/lock,images,understudy}
            mount --bind "$dir/etc" /etc/libvirt
            mount --bind "$dir/lib" /var/lib/libvirt
            mount --bind "$dir/log" /var/log/libvirt
            mount --bind "$dir/cache" /var/cache/libvirt
            mount --bind "$dir/run" /run
            mount --bind "$dir/boot_id" /proc/sys/kernel/random/boot_id
            if [ "$accel" = qemu ] && [ -e /dev/kvm ]; then
                mkdir -p "$dir/dev"
                mount -t tmpfs -o mode=755,size=64k dev "$dir/dev"
                mkdir "$dir"/dev/{pts,shm,net}
                cp -a /dev/{null,zero,full,random,urandom,tty,ptmx,fd,stdin,stdout,stderr} "$dir/dev/"
                cp -a /dev/net/tun "$dir/dev/net/"
                for node in fuse loop-control; do [ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$dir/dev/"; done
                for loop in $(seq 0 63); do mknod -m 600 "$dir/dev/loop$loop" b 7 "$loop"; done   # for `point mount`
                mount --rbind /dev/pts "$dir/dev/pts"
                mount --rbind /dev/shm "$dir/dev/shm"
                umount --lazy /dev   # with what is mounted below it: libvirt trips over mounts it can list but not reach
                mount --move "$dir/dev" /dev
            fi
        fi
        echo $$ >"$dir/holder.pid"
        exec -a "$name" sleep infinity
    ' lab-holder "$dir" "$place" "$name" "$LAB_ACCEL" </dev/null >"$dir/holder.log" 2>&1 &
    wait_for 10 "the namespaces of $place (see $dir/holder.log)" holder_of "$place"
    touch "$dir/netns"
    mount --bind "/proc/$(holder_of "$place")/ns/net" "$dir/netns"
}

# What the kernel says of its boot; each site has one of its own, so that it can boot again by itself. Rewritten in place:
# it is mounted over the kernel's.
new_boot_id() { cat /proc/sys/kernel/random/uuid >"$1/boot_id"; }

# The hub: a bridge with a port for the machine and one for each site.
start_hub() {
    local hub
    start_holder hub
    hub=$(holder_of hub)
    ! inside hub ip link show switch >/dev/null 2>&1 || return 0
    inside hub ip link add switch type bridge
    inside hub ip addr add "$LAB_VAULT_ADDRESS/24" dev switch
    inside hub ip link set switch up
    ip link add "$LAB_UPLINK" type veth peer name machine netns "$hub" ||
        die "cannot make the interface $LAB_UPLINK: is another lab up (./lab down there, or set UNDERSTUDY_LAB_NET)?"
    plug_in machine
    ip addr add "$LAB_MACHINE_ADDRESS/24" dev "$LAB_UPLINK"
    ip link set "$LAB_UPLINK" up
}

plug_in() {
    inside hub ip link set "$1" master switch
    inside hub ip link set "$1" up
}

# A site: namespaces, a cable to the hub, and libvirt.
start_site() {
    local site=$1 pid
    start_holder "$site"
    pid=$(holder_of "$site")
    if ! inside "$site" ip link show uplink >/dev/null 2>&1; then
        inside hub ip link add "$site" type veth peer name uplink netns "$pid"
        plug_in "$site"
        inside "$site" ip addr add "$(address_of "$site")/24" dev uplink
        inside "$site" ip link set uplink up
    fi
    start_libvirt "$site"
}

start_libvirt() {
    local site=$1 dir=$LAB_DIR/$1
    [ -f "$dir/etc/libvirtd.conf" ] || configure_libvirt "$site"
    process_of_pidfile "$dir/run/virtlogd.pid" virtlogd ||
        inside "$site" virtlogd --daemon --pid-file /run/virtlogd.pid
    process_of_pidfile "$dir/run/libvirtd.pid" libvirtd ||
        inside "$site" libvirtd --daemon --pid-file /run/libvirtd.pid
    wait_for 30 "libvirt on $site (see $dir/log/libvirtd.log)" inside "$site" virsh version
}

# The command line is checked: the number of one that was killed may be somebody else's by now, or nobody has buried it yet.
process_of_pidfile() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && grep -aq "^$2" "/proc/$pid/cmdline" 2>/dev/null
}

configure_libvirt() {
    local site=$1 dir=$LAB_DIR/$1
    cat >"$dir/etc/hooks/qemu" <<'HOOK'
#!/bin/sh
# The administrator's own hook: it must go on running beside the guard.
echo "$1 $2" >>/var/log/libvirt/own-hook.log
HOOK
    chmod +x "$dir/etc/hooks/qemu"
    cat >"$dir/etc/libvirtd.conf" <<CONF
unix_sock_group = "root"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
CONF
    # No cgroups and no AppArmor: the machine's rules do not know these paths, and the lab leaves the machine's rules alone.
    cat >"$dir/etc/qemu.conf" <<CONF
security_driver = "none"
cgroup_controllers = [ ]
stdio_handler = "logd"
CONF
    echo 'log_outputs = "3:file:/var/log/libvirt/virtlogd.log"' >"$dir/etc/virtlogd.conf"
    # The folders of the state that QEMU's own user must get through.
    chmod 755 "$dir" "$dir"/{lib,log,run,images,understudy} "$dir"/log/qemu "$dir"/lib/qemu
    chown libvirt-qemu "$dir/lib/qemu"
}

# A site loses power: nothing gets to say goodbye. The process that keeps the namespaces is the machine itself and stays.
power_off() {
    local site=$1 holder pids
    holder=$(holder_of "$site")
    while true; do
        mapfile -t pids < <(processes_of "$site" | grep -vx "$holder" || true)
        [ ${#pids[@]} -gt 0 ] || break
        kill -KILL "${pids[@]}" 2>/dev/null || true
        sleep 0.05
    done
    detach_loops "$site"
}

detach_loops() {
    local loop
    for loop in $(loops_of "$1"); do
        losetup --detach "$loop"
    done
}

# It boots again: another boot id, nothing in /run, no virtual bridges or taps, then libvirt with what it starts by itself.
boot() {
    local site=$1 dir=$LAB_DIR/$1 link
    [ "$(processes_of "$site")" = "$(holder_of "$site")" ] || die "$site is still on: ./lab power $site off"
    new_boot_id "$dir"
    find "$dir/run" -mindepth 1 -delete
    mkdir -p "$dir"/run/{libvirt,lock}
    for link in $(inside "$site" ls /sys/class/net); do
        case $link in lo | uplink) ;; *) inside "$site" ip link delete "$link" 2>/dev/null || true ;; esac
    done
    start_libvirt "$site"
}

# Ends everything that runs in a place, politely, then for certain, and then the place.
stop_place() {
    local place=$1 signal
    for signal in TERM KILL; do
        signal_all "$place" "$signal"
    done
    [ -z "$(processes_of "$place")" ] || die "cannot stop in $place: $(processes_of "$place" | tr '\n' ' ')"
    detach_loops "$place"
    ! mountpoint -q "$LAB_DIR/$place/netns" || umount "$LAB_DIR/$place/netns"
}

# Sends a signal to everything in a place and waits a while for it to work.
signal_all() {
    local pids
    mapfile -t pids < <(processes_of "$1")
    [ ${#pids[@]} -gt 0 ] || return 0
    kill -s "$2" "${pids[@]}" 2>/dev/null || true
    for _ in $(seq 40); do
        [ -n "$(processes_of "$1")" ] || return 0
        sleep 0.1
    done
}
