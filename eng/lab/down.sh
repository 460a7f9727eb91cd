#!/bin/bash
# eng/lab/down.sh [--all]: stops and removes everything of the lab, and says so when something would not go. The guest
# kernel and the built guest stay in the cache for the next time; --all removes them too.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$LAB_ROOT/eng/lab/place.sh"

need_root
for place in $LAB_SITES hub; do
    stop_place "$place"
done
! ip link show "$LAB_UPLINK" >/dev/null 2>&1 || ip link delete "$LAB_UPLINK"
if [ "${1:-}" = --all ]; then
    rm -rf "$LAB_DIR"
elif [ -d "$LAB_DIR" ]; then
    find "$LAB_DIR" -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +
fi
"$LAB_ROOT/eng/lab/leftovers.sh"
