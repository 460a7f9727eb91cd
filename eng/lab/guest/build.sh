#!/bin/bash
# build.sh KERNEL_TREE OUTPUT: builds the lab's guest from Debian packages: OUTPUT/boot.raw (MBR, FAT16, syslinux, the
# kernel, one initramfs), OUTPUT/syslinux.cfg (changed for each guest by image.sh) and OUTPUT/rec (the checker, for the host).
# KERNEL_TREE is where the guest kernel's packages are unpacked. Needs no root, no loop device and no mount.
set -euo pipefail

kernel_tree=$1
output=$2
here=$(cd "$(dirname "$0")" && pwd)

readonly boot_mib=40 partition_start=2048
readonly partition_offset=$((partition_start * 512))
readonly modules='virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console virtio-rng failover net_failover virtio_net button evdev'

kernel=$(find "$kernel_tree/boot" -name 'vmlinuz-*' -print -quit)
[ -n "$kernel" ] || { echo "build: no kernel image under $kernel_tree/boot" >&2; exit 1; }

mkdir -p "$output"
root=$(mktemp -d "$output/initramfs.XXXXXX")
trap 'rm -rf "$root"' EXIT

copy_module() {
    local file
    file=$(find "$kernel_tree" -path "*/lib/modules/*" -name "$1.ko*" -print -quit)
    case "$file" in
        '') ;;   # built into the kernel, or not in this version; the guest says at once when it misses a disk
        *.xz) xz -dc "$file" >"$root/lib/$1.ko" ;;
        *.zst) zstd -qdc "$file" >"$root/lib/$1.ko" ;;
        *) cp "$file" "$root/lib/" ;;
    esac
}

# A program with the libraries it is linked to, at their own paths.
copy_program() {
    local library
    mkdir -p "$root/usr/sbin"
    cp "$1" "$root/usr/sbin/"
    for library in $(ldd "$1" | grep -o '/[^ ]*'); do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
}

mkdir -p "$root"/{bin,lib,dev,proc,sys,etc}
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
gcc -O2 -Wall -Wextra -Werror -static -o "$output/rec" "$here/rec.c"
cp "$output/rec" "$root/bin/"
copy_program "$(PATH=$PATH:/usr/sbin command -v qemu-ga)"
for module in $modules; do
    copy_module "$module"
done
install -m755 "$here/init" "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$output/initrd.gz"

cat >"$output/syslinux.cfg" <<'CFG'
DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
 KERNEL /vmlinuz
 INITRD /initrd.gz
 APPEND console=tty0 console=ttyS0 quiet loglevel=4 tsc=unstable panic=1 guest=@GUEST@ interval=@INTERVAL@
CFG

image=$output/boot.raw.new
rm -f "$image"
truncate -s "${boot_mib}M" "$image"
echo "start=$partition_start, type=6, bootable" | /sbin/sfdisk -q "$image"
export MTOOLS_SKIP_CHECK=1
volume=$image@@$partition_offset
mformat -i "$volume" -T $((boot_mib * 2048 - partition_start)) -h 255 -s 63 -H "$partition_start" -v USGUEST ::
syslinux --install -t "$partition_offset" "$image"
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$image" bs=440 count=1 conv=notrunc status=none
mcopy -i "$volume" /usr/lib/syslinux/modules/bios/ldlinux.c32 ::/ 2>/dev/null || true   # some versions install it themselves
mcopy -o -i "$volume" "$kernel" ::/vmlinuz
mcopy -o -i "$volume" "$output/initrd.gz" ::/initrd.gz
mv "$image" "$output/boot.raw"
