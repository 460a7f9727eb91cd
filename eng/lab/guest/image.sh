#!/bin/bash
# image.sh BUILT GUEST INTERVAL_MS OUT.qcow2: the boot disk of one guest, from what build.sh left in BUILT.
set -euo pipefail

built=$1 guest=$2 interval_ms=$3 out=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp --sparse=always "$built/boot.raw" "$work/boot.raw"
sed "s/@GUEST@/$guest/; s/@INTERVAL@/$interval_ms/" "$built/syslinux.cfg" >"$work/syslinux.cfg"
MTOOLS_SKIP_CHECK=1 mcopy -o -i "$work/boot.raw@@$((2048 * 512))" "$work/syslinux.cfg" ::/syslinux.cfg
qemu-img convert -f raw -O qcow2 "$work/boot.raw" "$out"
