#!/bin/bash
# ./lab leftovers: lists whatever is left of the lab on this machine, one a line; exit 1 when something is.
# Meant for after `./lab down`: processes, interfaces, mounts, files (the cache is not a leftover).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

found=0
declare -A known
left() { say "left: $*"; found=1; }

describe() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | cut -c1-400 || true; }

for place in hub $LAB_SITES; do
    for pid in $(processes_of "$place"); do
        left "process $pid in $place: $(describe "$pid")"
        known[$pid]=1
    done
done

# Processes that were started outside the lab's namespaces on its files, or in a lab whose state is gone.
for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    [ "$pid" = $$ ] || [ -n "${known[$pid]:-}" ] && continue
    ! describe "$pid" | grep -qF "$LAB_DIR/" || left "process $pid: $(describe "$pid")"
done

for place in $LAB_SITES; do
    for loop in $(loops_of "$place"); do
        left "device $loop of $place"
    done
done
! ip link show "$LAB_UPLINK" >/dev/null 2>&1 || left "interface $LAB_UPLINK"
while read -r mount; do
    left "mount $mount"
done < <(awk -v dir="$LAB_DIR/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo)
if [ -d "$LAB_DIR" ]; then
    while read -r file; do
        left "file $file"
    done < <(find "$LAB_DIR" -mindepth 1 -maxdepth 1 ! -name cache)
fi
exit $found
