#!/bin/bash
# eng/lab/status.sh: what of the lab is there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root
say "state    $LAB_DIR ($(du -sh "$LAB_DIR" 2>/dev/null | cut -f1 || true))"
for place in hub $LAB_SITES; do
    if ! holder_of "$place" >/dev/null; then
        say "$place    down"
        continue
    fi
    say "$place    $(address_of "$place"), $(processes_of "$place" | wc -l) processes"
    for pid in $(processes_of "$place"); do
        tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c1-110 | sed "s/^/           $pid  /" || true
    done
    [ "$place" = hub ] && continue
    inside "$place" virsh -q list --all | sed 's/^ */           domain  /'
    inside "$place" virsh -q net-list --all | sed 's/^ */           network  /'
done
holder_of north >/dev/null || exit 3
