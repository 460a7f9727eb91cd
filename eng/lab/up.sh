#!/bin/bash
# eng/lab/up.sh [--hosts-only]: two sites on this machine, with guests, the vault and an agent on each site (--hosts-only:
# without Understudy). Run again, it completes what is missing and changes nothing else.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$LAB_ROOT/eng/lab/place.sh"
. "$LAB_ROOT/eng/lab/guests.sh"
. "$LAB_ROOT/eng/lab/product.sh"

need_root
begun=$EPOCHREALTIME
"$LAB_ROOT/eng/install.sh"
case $LAB_ACCEL in qemu | kvm) ;; *) die "UNDERSTUDY_LAB_ACCEL is '$LAB_ACCEL': qemu or kvm" ;; esac

mkdir -p "$LAB_DIR" "$LAB_EXPORTS"
chmod 755 "$LAB_DIR"
setpriv --reuid libvirt-qemu --clear-groups test -x "$LAB_DIR" ||
    die "QEMU's user cannot reach $LAB_DIR: choose a folder that all users can enter (UNDERSTUDY_LAB_DIR)"
printf 'LAB_ACCEL=%s\nLAB_NET=%s\nLAB_RECORD_MS=%s\n' "$LAB_ACCEL" "$LAB_NET" "$LAB_RECORD_MS" >"$LAB_DIR/settings"

# Side by side: most of it is libvirt asking QEMU what it can do, some seconds on each.
start_sites() {
    local site pid pids=()
    for site in $LAB_SITES; do
        (
            start_site "$site"
            furnish_site "$site"
        ) &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || die "a site did not come up (see above)"
    done
}

built=$(built_guest)
say "guest image     $(seconds_since "$begun") s"
start_hub
start_sites
say "hosts           $(seconds_since "$begun") s"
for guest in $LAB_GUESTS; do
    add_guest north "$guest" "$built"
done
for guest in $LAB_GUESTS; do
    wait_for_guest north "$guest"
done
say "guests ready    $(seconds_since "$begun") s"
if [ "${1:-}" != --hosts-only ]; then
    start_product
    say "vault, agents   $(seconds_since "$begun") s    ./lab understudy vm list"
fi
