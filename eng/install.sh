#!/bin/bash
# eng/install.sh [--check]: makes a bare Debian 12 or Ubuntu machine able to build, run and test Understudy.
# Run as root. Installs only what is missing and is quick when nothing is. --check lists what is missing and exits 1.
set -euo pipefail

say() { printf '%s\n' "$*"; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }

# What each group is for; one Debian package name a word. An "a|b" takes the first name that this distribution has.
hypervisor='qemu-system-x86 qemu-system-common qemu-utils qemu-block-extra ovmf seabios ipxe-qemu libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients'
networks='dnsmasq-base iproute2 iptables nftables procps'
native_libraries='libxxhash0 libzstd1 libvirt0'
guest_image='busybox-static cpio fdisk gcc libc6-dev mtools syslinux syslinux-common qemu-guest-agent zstd xz-utils'
tests_and_peers='curl fio jq nbdkit libnbd-bin libnbd0 python3-libnbd python3-libvirt virtnbdbackup rsync openssl socat sqlite3 util-linux'

wanted() {
    local group
    for group in "$hypervisor" "$networks" "$native_libraries" "$guest_image" "$tests_and_peers"; do
        tr ' ' '\n' <<<"$group"
    done
}

# Prints the wanted packages that are not installed.
missing_packages() {
    local installed
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | awk '$2 == "installed" { print $1 }' | sort -u)
    comm -23 <(wanted | sort -u) <(printf '%s\n' "$installed")
}

has_dotnet() {
    command -v dotnet >/dev/null && dotnet --list-sdks 2>/dev/null | grep -q '^10\.'
}

apt_updated=no
apt_update_once() {
    [ "$apt_updated" = no ] || return 0
    say 'install: refreshing the package lists'
    apt-get update -q >/dev/null || die 'apt-get update failed: see to the network or the package sources, then run this again'
    apt_updated=yes
}

apt_install() {
    local packages=("$@")
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null 2>&1; then
        apt_update_once
        apt-get install -y -q --no-install-recommends "${packages[@]}" ||
            die "apt-get could not install: ${packages[*]}"
    fi
}

install_dotnet() {
    apt-cache show dotnet-sdk-10.0 >/dev/null 2>&1 || apt_update_once
    if apt-cache show dotnet-sdk-10.0 >/dev/null 2>&1; then
        say 'install: .NET SDK 10'
        apt_install dotnet-sdk-10.0
    fi
    has_dotnet && return 0
    cat >&2 <<'TEXT'
install: the .NET SDK 10 is missing and none of this machine's package sources has it (Debian's own do not).
         Install it the way Microsoft's page "Install .NET on Linux" says: their package repository and
         `apt-get install dotnet-sdk-10.0`, or the dotnet-install script with `--channel 10.0`. `dotnet --list-sdks`
         must then show a line that begins with "10.". Then run this again.
TEXT
    exit 1
}

main() {
    command -v dpkg-query >/dev/null || die 'this machine is not Debian or Ubuntu; the packages needed are named at the top of this file'
    [ "$(dpkg --print-architecture)" = amd64 ] || die 'the lab and the tests run amd64 guests, so the machine must be amd64'
    local missing
    mapfile -t missing < <(missing_packages)
    if [ "${1:-}" = --check ]; then
        has_dotnet || missing+=(dotnet-sdk-10.0)
        [ ${#missing[@]} -eq 0 ] && return 0
        say "missing: ${missing[*]}"
        return 1
    fi
    if [ ${#missing[@]} -gt 0 ]; then
        [ "$(id -u)" = 0 ] || die "these packages are missing and only root can install them: ${missing[*]}"
        say "install: ${missing[*]}"
        apt_install "${missing[@]}"
    fi
    has_dotnet || install_dotnet
}

main "$@"
