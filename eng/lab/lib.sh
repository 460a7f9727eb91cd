# shellcheck shell=bash disable=SC2034  # what is set here is used by the scripts that source it
# eng/lab/lib.sh: settings, names and small helpers for every script of the lab. Sourced, never run.
#
# The lab is three network namespaces and nothing else: `hub` (a switch, and where the vault runs), `north` and `south`
# (one libvirt host each, with a mount namespace of its own too). Whatever runs in one of them belongs to the lab; that
# is how `down` finds what to stop and how `leftovers` finds what was forgotten. One veth pair reaches out to the
# machine, so that commands typed there can talk to the vault.

shopt -s inherit_errexit    # a failure inside $(...) is a failure

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly LAB_ROOT

# Not under the checkout: QEMU runs as a user of its own and must reach the disks, and /root is closed to it.
LAB_DIR=${UNDERSTUDY_LAB_DIR:-/var/tmp/understudy-lab}
# What `up` was told holds for later commands, so that they need not be told again.
# shellcheck source=/dev/null
[ ! -f "$LAB_DIR/settings" ] || . "$LAB_DIR/settings"
LAB_ACCEL=${LAB_ACCEL:-${UNDERSTUDY_LAB_ACCEL:-qemu}}              # qemu (emulation, works everywhere) or kvm
LAB_NET=${LAB_NET:-${UNDERSTUDY_LAB_NET:-10.88}}                    # first two numbers of the lab's addresses
LAB_RECORD_MS=${LAB_RECORD_MS:-${UNDERSTUDY_LAB_RECORD_MS:-40}}     # pause of a guest between two records

readonly LAB_SITES='north south'
readonly LAB_GUESTS='one two'       # both on north
readonly LAB_DATA_MIB=64            # size of each data disk
readonly LAB_CACHE=$LAB_DIR/cache LAB_EXPORTS=$LAB_DIR/exports
readonly LAB_UPLINK=uslab${LAB_NET#*.}      # the machine's end of the veth pair
readonly LAB_MACHINE_ADDRESS=$LAB_NET.0.1 LAB_VAULT_ADDRESS=$LAB_NET.0.2
# Where the runtime is: one that no package installed is found only by this.
LAB_DOTNET_ROOT=$(dirname "$(readlink -f "$(command -v dotnet || echo /usr/share/dotnet/dotnet)")")
readonly LAB_DOTNET_ROOT

say() { printf '%s\n' "$*"; }
die() { printf 'lab: %s\n' "$*" >&2; exit 1; }

# Seconds since SINCE (a value of $EPOCHREALTIME), with one decimal.
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# wait_for SECONDS WHAT COMMAND...: repeats COMMAND until it succeeds; dies naming WHAT when it does not in time.
wait_for() {
    local limit=$1 what=$2 begun=$EPOCHREALTIME
    shift 2
    until "$@" >/dev/null 2>&1; do
        awk -v a="$begun" -v b="$EPOCHREALTIME" -v l="$limit" 'BEGIN { exit !(b - a > l) }' && die "gave up after $limit s waiting for $what"
        sleep 0.1
    done
}

need_root() {
    [ "$(id -u)" = 0 ] || die 'needs root (namespaces, libvirt): run it with sudo'
}

need_up() {
    local place
    for place in hub $LAB_SITES; do
        holder_of "$place" >/dev/null || die "the lab is not up ($place is missing): ./lab up"
    done
}

address_of() {
    case $1 in
        hub) echo "$LAB_VAULT_ADDRESS" ;;
        north) echo "$LAB_NET.0.11" ;;
        south) echo "$LAB_NET.0.12" ;;
        *) die "no such place: $1 (hub, north or south)" ;;
    esac
}

# The third number of the addresses on a site's own guest network.
lan_of() {
    case $1 in
        north) echo "$LAB_NET.1" ;;
        south) echo "$LAB_NET.2" ;;
        *) die "no such site: $1" ;;
    esac
}

# --- namespaces -------------------------------------------------------------------------------------------------------

# Prints the pid of the process that keeps a place's namespaces alive; fails when there is none. The name is checked, as
# a pid from before a reboot may be somebody else's by now.
holder_of() {
    local pid
    pid=$(cat "$LAB_DIR/$1/holder.pid" 2>/dev/null) || return 1
    [ "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" = "$(holder_name "$1") infinity " ] || return 1
    echo "$pid"
}

holder_name() { echo "understudy-lab:$LAB_DIR:$1"; }

# inside PLACE COMMAND...: runs a command in a place's namespaces, with a small fixed environment: whoever calls, the same
# thing happens. DOTNET_EnableDiagnostics: a killed process would leave its diagnostic socket in /tmp.
inside() {
    local place=$1 pid
    shift
    pid=$(holder_of "$place") || die "$place is not up: ./lab up"
    nsenter --target "$pid" --mount --net -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" DOTNET_EnableDiagnostics=0 DOTNET_NOLOGO=1 \
        DOTNET_ROOT="$LAB_DOTNET_ROOT" LIBVIRT_DEFAULT_URI=qemu:///system "$@"
}

# The network namespace of a place, as /proc names it. `up` has mounted it on a file: that keeps its number from being given
# to somebody else's namespace when the lab's processes have died, and the mount is gone after a reboot.
netns_of() {
    [ "$(stat -f -c %T "$LAB_DIR/$1/netns" 2>/dev/null)" = nsfs ] && echo "net:[$(stat -c %i "$LAB_DIR/$1/netns")]"
}

# Prints the pids of everything that runs in a place.
processes_of() {
    local netns
    netns=$(netns_of "$1") || return 0
    # The link reads net:[4026532281]; for find that is a pattern, so its brackets must be literal ones.
    netns=${netns/\[/\\[}
    find /proc/[0-9]*/ns/net -maxdepth 0 -lname "${netns/]/\\]}" 2>/dev/null | cut -d/ -f3 || true
}

# Prints the loop devices that stand on files of a site's /run. The kernel has them for the whole machine, and names their
# files as the site sees them.
loops_of() {
    local backing file
    for backing in /sys/block/loop*/loop/backing_file; do
        file=$(cat "$backing" 2>/dev/null) || continue
        [ ! -e "$LAB_DIR/$1/run/${file#/run/}" ] || echo "/dev/$(cut -d/ -f4 <<<"$backing")"
    done
}

# --- guests -----------------------------------------------------------------------------------------------------------

# The serial line of a domain, as the host sees it. The path inside a host is the same on both, the file is not.
serial_of() { echo "$LAB_DIR/$1/log/qemu/serial-$2.log"; }

qemu_pid_of() {
    local pid
    pid=$(inside "$1" cat "/run/libvirt/qemu/$2.pid" 2>/dev/null) && [ -d "/proc/$pid" ] && echo "$pid"
}
