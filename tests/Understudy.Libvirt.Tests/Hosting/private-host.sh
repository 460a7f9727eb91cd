#!/bin/bash
# private-host.sh DIR start|stop|restart-daemon [SED FILE: an edit of one of libvirtd's files while it is down]
# A whole libvirt host of its own beside the machine's: own mount and network namespaces, own configuration, run and
# state folders. Clients outside connect with qemu+unix:///system?socket=DIR/run/libvirt-sock. Everything is ended by
# the process ids in DIR, and nothing outside DIR is touched.
set -e
D=$1

wait_up() {
  for _ in $(seq 150); do
    if virsh -c "qemu+unix:///system?socket=$D/run/libvirt-sock" version >/dev/null 2>&1; then return 0; fi
    [ -z "$1" ] || kill -0 "$1" 2>/dev/null || break
    sleep 0.1
  done
  cat "$D/libvirtd.out" >&2
  echo "the private libvirt host did not come up" >&2
  return 1
}

end() { # by pid file, and wait until it is gone
  [ -f "$1" ] || return 0
  local pid; pid=$(cat "$1")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}

case $2 in
start)
  mkdir -p "$D"/{etc,run/common,lib,log,cache,vm,small}
  cp -a /etc/libvirt/. "$D/etc/"
  rm -rf "$D"/etc/qemu/*.xml "$D"/etc/qemu/autostart/* "$D"/etc/qemu/networks/autostart/* "$D"/etc/hooks
  printf 'unix_sock_group = "root"\nauth_unix_rw = "none"\nhost_uuid = "%s"\n' "$(cat /proc/sys/kernel/random/uuid)" >> "$D/etc/libvirtd.conf"
  printf 'cgroup_controllers = [ ]\nremote_display_port_min = 6200\nremote_display_port_max = 6299\nstdio_handler = "logd"\n' >> "$D/etc/qemu.conf"
  chmod 755 "$D" "$D"/*
  mkdir -p /run/libvirt /var/cache/libvirt   # mount points; where libvirtd has never run they are missing
  mount -t tmpfs -o size=4m,mode=755 us-libvirt-small "$D/small"   # before the host starts: QEMUs do not see later mounts
  D=$D setsid unshare --mount --net --propagation private bash -c '
    set -e
    ip link set lo up
    mount --bind "$D/etc" /etc/libvirt; mount --bind "$D/run" /run/libvirt; mount --bind "$D/lib" /var/lib/libvirt
    mount --bind "$D/log" /var/log/libvirt; mount --bind "$D/cache" /var/cache/libvirt
    # Where /dev/kvm can be opened by root but not by the user of QEMU, libvirt finds its cached capabilities wrong each
    # time and probes QEMU anew (seconds a call): give the host a device node as udev would make it.
    if [ -e /dev/kvm ]; then mknod -m 660 "$D/kvm" c 10 232; chgrp kvm "$D/kvm"; mount --bind "$D/kvm" /dev/kvm; fi
    mkdir -p /var/lib/libvirt/{images,qemu,dnsmasq,network,boot} /var/log/libvirt/qemu
    chown libvirt-qemu:libvirt-qemu /var/lib/libvirt/qemu 2>/dev/null || true
    chmod 755 /var/lib/libvirt/qemu
    virtlogd --daemon --pid-file "$D/virtlogd.pid"
    exec libvirtd --pid-file "$D/libvirtd.pid"' </dev/null >"$D/libvirtd.out" 2>&1 &
  wait_up $!;;
restart-daemon)
  end "$D/libvirtd.pid"
  rm -f "$D/libvirtd.pid"
  [ -z "$3" ] || sed -i "$3" "$D/$4"
  nsenter -t "$(cat "$D/virtlogd.pid")" --mount --net setsid libvirtd --daemon --pid-file "$D/libvirtd.pid" </dev/null >>"$D/libvirtd.out" 2>&1
  wait_up;;
stop)
  for file in "$D"/run/qemu/*.pid; do end "$file"; done
  end "$D/libvirtd.pid"
  for file in "$D"/run/network/*.pid; do end "$file"; done
  end "$D/virtlogd.pid"
  for file in "$D"/vm/*/pool.pid?; do [ ! -f "$file" ] || kill -9 "$(cat "$file")" 2>/dev/null || true; done   # of a HangingPool
  for shown in "$D"/vm/*/pool/volume.raw; do umount -l "$shown" 2>/dev/null || true; done
  mountpoint -q "$D/small" && umount "$D/small"
  rm -rf "$D";;
esac
