# shellcheck shell=bash
# eng/lab/observe.sh: what the demo sees for itself, with tools that are not Understudy: serial lines, libvirt, qemu-img,
# and `rec verify` on images. Sourced by demo.sh.

# must WHAT COMMAND...: a fact that has to hold; says it, or dies naming it.
must() {
    local what=$1
    shift
    "$@" >/dev/null || die "wrong: $what does not hold ($*)"
    say "    ok  $what"
}

is_less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }
difference() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a - b }'; }

field() { jq -r "$1" <<<"$2"; }

# --- the product's own word, to be compared with what is seen ---------------------------------------------------------

vm_field() { understudy vm show "$1" --json | jq -r "$2"; }
vm_power_is() { [ "$(vm_field "$1" .power)" = "$2" ]; }
vm_state_is() { [ "$(vm_field "$1" .state)" = "$2" ]; }
point_count() { understudy point list "$1" --json | jq length; }
has_points() { [ "$(point_count "$1")" -ge "$2" ]; }
points_of() { understudy point list "$1" --json; }
branch_names() { understudy point list "$1" --branches --json | jq -r '.[].name'; }   # old disks too, also after the end of a protection

# --- images -----------------------------------------------------------------------------------------------------------

# verify_images A B: what the checker says about two data disks of one instant, as JSON; dies when it says no. Images of
# any format are unpacked first (sparse, so it costs what they hold).
verify_images() {
    local work verdict disk
    work=$(mktemp -d "$LAB_EXPORTS/verify.XXXXXX")
    for disk in 1 2; do
        qemu-img convert -q -O raw "${!disk}" "$work/$disk.raw"
    done
    verdict=$("$LAB_CACHE/guest/rec" verify --json "$work/1.raw" "$work/2.raw") || die "wrong: the records on $1 and $2: $(jq -r .reason <<<"$verdict")"
    rm -rf "$work"
    echo "$verdict"
}

# verify_point VM POINT: exports a point and lets the checker loose on it.
verify_point() {
    local folder verdict
    folder=$(mktemp -d "$LAB_EXPORTS/point.XXXXXX")
    understudy point export "$1" "$2" --to "$folder" --json >"$folder.job" || die "wrong: point $2 of $1 cannot be exported: $(cat "$folder.job")"
    verdict=$(verify_images "$(echo "$folder"/*vdb*)" "$(echo "$folder"/*vdc*)")
    rm -rf "$folder" "$folder.job"
    echo "$verdict"
}

# The files of a domain's disks, one a line.
disks_of() { inside "$1" virsh -q domblklist "$2" "${@:3}" | awk '{ print $2 }'; }

# --- a domain ---------------------------------------------------------------------------------------------------------

domain_state() { inside "$1" virsh domstate "$2" 2>/dev/null; }
domain_runs() { [ "$(domain_state "$1" "$2" | head -n 1)" = running ]; }
domain_is_gone() { ! inside "$1" virsh dominfo "$2" >/dev/null 2>&1; }
domain_is_off() { [ "$(domain_state "$1" "$2" | head -n 1)" = 'shut off' ]; }

# What a domain's guest has said on its serial line.
serial_text() {
    local path
    path=$(inside "$1" virsh dumpxml "$2" 2>/dev/null | sed -n "/<serial type='file'>/,/<\/serial>/s/.*<source path='\([^']*\)'.*/\1/p")
    [ -n "$path" ] && inside "$1" cat "$path" 2>/dev/null
}

guest_said() { serial_text "$1" "$2" | grep -a "$3" >/dev/null; }   # to its end: a reader that leaves early fails a long log
verified_by_guest() { serial_text "$1" "$2" | sed -n 's/^VERIFIED \([0-9]*\) .*/\1/p' | tail -n 1; }
newest_record_of_guest() { serial_text "$1" "$2" | sed -n 's/^REC \([0-9]*\) .*/\1/p' | tail -n 1; }
guest_wrote_past() { [ "$(newest_record_of_guest "$1" "$2")" -gt "$3" ]; }
slowest_write_ms() { serial_text "$1" "$2" | sed -n "s/^REC .* max=\([0-9]*\)us.*/\1/p" | tail -n +"${3:-1}" | sort -n | tail -n 1 | awk '{ printf "%.0f", $1 / 1000 }'; }

# The networks of a domain's NICs, one a line.
networks_of_domain() { inside "$1" virsh -q domiflist "$2" | awk '{ print $3 }'; }

# An isolated network goes nowhere: no forwarding in its definition, and nothing but guests' ports on its bridge.
network_is_isolated() {
    local bridge port
    inside "$1" virsh net-dumpxml "$2" | grep -q '<forward' && return 1
    bridge=$(inside "$1" virsh net-info "$2" | awk '/^Bridge:/ { print $2 }')
    for port in $(inside "$1" ls "/sys/class/net/$bridge/brif"); do
        case $port in vnet*) ;; *) return 1 ;; esac
    done
}

# --- what Understudy leaves on a host ---------------------------------------------------------------------------------

# traces SITE DOMAIN: prints everything of Understudy's on a host that no protected VM accounts for, one a line. DOMAIN is
# an ordinary VM now: its definition and its disks' files are its own; checkpoints and bitmaps on them are not.
traces() {
    local site=$1 domain=$2 pid line file disks
    for pid in $(processes_of "$site"); do
        line=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || continue
        case $line in
            *qemu-storage-daemon* | *qemu-nbd* | *qemu-img*) echo "process $pid: ${line:0:140}" ;;
        esac
    done
    for line in $(inside "$site" virsh -q list --all --name); do
        case " $LAB_GUESTS ${LAB_DESK:-} " in *" $line "*) ;; *) echo "domain $line" ;; esac
    done
    for line in $(inside "$site" virsh -q net-list --all --name); do
        case $line in lan | backstage) ;; *) echo "network $line" ;; esac
    done
    for line in $(loops_of "$site"); do
        echo "device $line"
    done
    disks=$(disks_of "$site" "$domain" 2>/dev/null || true)    # it may be on the other site
    for line in $(inside "$site" virsh -q checkpoint-list "$domain" --name 2>/dev/null || true); do
        echo "checkpoint $line of $domain"
    done
    for file in $disks; do
        qemu-img info -U --output json "$file" | jq -r --arg f "$file" '.["format-specific"].data.bitmaps[]? | "bitmap \(.name) in \($f)"'
    done
    { find "$(agent_data "$site")" "$LAB_DIR/$site/run/understudy" \( -type f -o -type s \) 2>/dev/null || true; } | while read -r file; do
        case $file in
            # the agent's own, as long as it is joined
            */agent.json | */agent.sock | */identity.json | *.crt | *.key | *.pem | */outcomes* | *.lock | */vault-copies/*.understudy-vault | */guard/asked-by | */departures/*) ;;
            *) grep -qxF "$file" <<<"$disks" || echo "file $file" ;;
        esac
    done
}

leaves_nothing() {
    local left
    left=$(traces "$1" "$2")
    [ -z "$left" ] || { say "$left" >&2; return 1; }
}
