#!/bin/bash
# kernel.sh TREE: downloads a small guest kernel's packages and unpacks them into TREE (boot/ and lib/modules/ or usr/lib/modules/).
# The kernel is only unpacked, never installed: the machine's own boot is not touched.
set -euo pipefail

tree=$1
die() { printf 'kernel: %s\n' "$*" >&2; exit 1; }

depends_on() { apt-cache depends "$1" 2>/dev/null | awk -v want="$2" '$1 ~ /Depends:/ && $2 ~ want { print $2; exit }'; }

# Debian: linux-image-cloud-amd64 -> linux-image-6.1.0-NN-cloud-amd64, modules inside.
# Ubuntu: linux-image-virtual -> linux-image-6.8.0-NN-generic, modules in linux-modules-6.8.0-NN-generic.
packages_of_kernel() {
    local image modules
    image=$(depends_on linux-image-cloud-amd64 '^linux-image-[0-9]')
    [ -n "$image" ] || image=$(depends_on linux-image-virtual '^linux-image-[0-9]')
    [ -n "$image" ] || return 1
    echo "$image"
    modules=${image/linux-image-/linux-modules-}
    ! apt-cache show "$modules" >/dev/null 2>&1 || echo "$modules"
}

packages=$(packages_of_kernel) || { apt-get update -q >/dev/null && packages=$(packages_of_kernel); } ||
    die 'no package source has linux-image-cloud-amd64 or linux-image-virtual: apt-get update, then run this again'

work=$(mktemp -d "$tree.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/debs" "$work/tree"
# apt drops to its own user for the download where it can; as root in a private folder it says so and goes on.
# shellcheck disable=SC2086  # a list of package names
(cd "$work/debs" && apt-get download -q $packages >/dev/null 2>&1) || {
    apt-get update -q >/dev/null
    (cd "$work/debs" && apt-get download -q $packages >/dev/null) || die "cannot download: $packages"
}
for deb in "$work"/debs/*.deb; do
    dpkg -x "$deb" "$work/tree"
done
rm -rf "$work/tree/usr/share"   # documentation
mv "$work/tree" "$tree"
