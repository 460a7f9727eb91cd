#!/bin/sh
# Understudy's start guard: keeps libvirt from starting a VM that runs, or may run, at the other site.
# Installed by "understudy agent install-guard"; changes made here are lost. docs/protocols/guard.md explains it.
#
# libvirt calls it as NAME OPERATION SUB-OPERATION EXTRA with the domain's XML on standard input. Nothing may be printed
# on standard output (libvirt would take it for another XML), and libvirt must not be called.
# A VM that no guard file names is never hindered, whatever is wrong with the guard; one that a file names is started
# only when that file says so.

guard='@GUARD@'
boot_id=/proc/sys/kernel/random/boot_id
uptime=/proc/uptime

xml=$(cat) # Always: libvirt must not be left with a pipe that nobody reads.
[ -d "$guard" ] || exit 0

# By this the agent knows that libvirt asks: the boot, and the daemon that called with the time of its start. Not written
# again by the same daemon.
note_call() {
    read -r boot < "$boot_id" && read -r stat < "/proc/$PPID/stat" || return
    # shellcheck disable=SC2086 # field by field, counted after the name, which may hold anything
    set -- ${stat##*) }
    read -r before < "$guard/asked-by"
    [ "$before" = "$boot $PPID ${20}" ] && return
    printf '%s\n' "$boot $PPID ${20}" > "$guard/asked-by.$$" && mv -f "$guard/asked-by.$$" "$guard/asked-by"
}
note_call 2>/dev/null

case "$2" in
    prepare | migrate | restore) ;;
    *) exit 0 ;;
esac

deny() {
    echo "Understudy: $1" >&2
    exit 1
}

# Value of a word in the guard file that is being judged.
value() {
    printf '%s\n' "$content" | sed -n "s/^$1 //p" | head -n 1
}

# Returns when the guard file lets the VM start.
judge() {
    content=$(cat "$1" 2>/dev/null)
    case $content in
        'understudy-guard 1
'*'
end') ;;
        *) deny "$1 cannot be read or is damaged; restart the Understudy agent, which writes it again" ;;
    esac
    case $(value state) in
        allowed) ;;
        denied) deny "VM $(value name) may not be started on this host: $(value reason). See: understudy vm show $(value name)" ;;
        *) deny "$1 is damaged; restart the Understudy agent, which writes it again" ;;
    esac
    now=$(cat "$boot_id" 2>/dev/null)
    [ -n "$now" ] && [ "$(value boot)" = "$now" ] && return 0

    # This host has booted since the VM was known to be owned here. The policy may allow the start after a time.
    after=$(value after)
    if [ -n "$after" ]; then
        since=0
        awaited=$(value awaited)
        [ "${awaited% *}" = "$now" ] && since=${awaited#* }
        read -r up _ < "$uptime"
        [ $((${up%%.*} - since)) -ge "$after" ] && return 0
    fi
    deny "VM $(value name) may not be started yet: since the boot of this host nobody has said that it is still owned here. The Understudy agent asks the other site and the vault; in need: understudy local claim $(value name) --confirm FAILOVER"
}

uuid=$(printf '%s\n' "$xml" | sed -n 's/^ *<uuid>\([0-9A-Fa-f-]*\)<\/uuid>.*/\1/p' | head -n 1 | tr 'A-F' 'a-f')
if [ -n "$uuid" ] && [ -e "$guard/$uuid" ]; then
    judge "$guard/$uuid"
fi

disks=$(grep -H '^disk /' "$guard"/????????-????-????-????-???????????? 2>/dev/null)
[ -n "$disks" ] || exit 0

# A volume is a file of its pool's folder.
volume() {
    for pools in /etc/libvirt/storage /run/libvirt/storage; do
        folder=$(sed -n 's/^ *<path>\(.*\)<\/path>.*/\1/p' "$pools/$1.xml" 2>/dev/null | head -n 1)
        [ -n "$folder" ] && printf '%s/%s\n' "$folder" "$2" && return 0
    done
}

paths=$(printf '%s\n' "$xml" | sed -n \
    -e "s/^ *<source [^>]*file='\(\/[^']*\)'.*/\1/p" \
    -e "s/^ *<source [^>]*dev='\(\/[^']*\)'.*/\1/p" \
    -e "s/^ *<source pool='\([^']*\)' volume='\([^']*\)'.*/\1\/\2/p" |
    sed -e "s/&apos;/'/g" -e 's/&quot;/"/g' -e 's/&lt;/</g' -e 's/&gt;/>/g' -e 's/&amp;/\&/g')
[ -n "$paths" ] || exit 0

# Judges by every guard file that has the disk under this name.
judge_disk() {
    while IFS= read -r line; do
        if [ "${line#*:disk }" = "$1" ]; then
            judge "${line%%:disk *}"
        fi
    done <<DISKS
$disks
DISKS
}

# Device and inode of each file. One that hangs (its NFS server is gone) must not stop the start of a VM that has nothing to
# do with it: then each is asked on its own, and the one that hangs is known by its name only.
identities() {
    timeout -s KILL 1 stat -L -c '%d:%i %n' -- "$@" 2>/dev/null
    [ $? -lt 124 ] && return
    for file; do
        timeout -s KILL 1 stat -L -c '%d:%i %n' -- "$file" 2>/dev/null &
    done
    wait
}

set --
while IFS= read -r path; do
    case $path in
        /*) ;;
        *) path=$(volume "${path%%/*}" "${path#*/}") ;;
    esac
    if [ -n "$path" ]; then
        judge_disk "$path"
        set -- "$@" "$path"
    fi
done <<PATHS
$paths
PATHS
[ $# -gt 0 ] || exit 0
own=$(identities "$@")
[ -n "$own" ] || exit 0

# The file that a qcow2 image stands on, by its header; libvirt does not say it here. Nothing for other formats, for
# what is read through a protocol, and where the header cannot be read within a second.
backing() {
    image=$1
    # shellcheck disable=SC2046 # byte by byte
    set -- $(timeout -s KILL 1 od -An -v -tu1 -N20 -- "$image" 2>/dev/null)
    [ $# -eq 20 ] && [ "$1 $2 $3 $4" = '81 70 73 251' ] && [ "$9 ${10} ${11} ${12} ${17} ${18}" = '0 0 0 0 0 0' ] || return
    length=$((${19} * 256 + ${20}))
    [ "$length" -gt 0 ] && [ "$length" -le 1023 ] || return
    below=$(timeout -s KILL 1 dd if="$image" bs=1 skip=$((((${13} * 256 + ${14}) * 256 + ${15}) * 256 + ${16})) count="$length" 2>/dev/null)
    case $below in
        json:*) below=$(printf '%s\n' "$below" | sed -n 's/.*"filename": *"\([^"]*\)".*/\1/p') ;;
        file:*) below=${below#file:} ;;
    esac
    case $below in
        '' | *'
'*) ;;
        /*) printf '%s\n' "$below" ;;
        *:*) ;;
        *) printf '%s\n' "${image%/*}/$below" ;;
    esac
}

# All that the disks stand on: a new overlay over a guarded disk is a second copy of its VM, and writes that disk when it
# is committed. A chain is a few images long; one that is longer than this, or goes round, is not followed further.
images=$(printf '%s\n' "$own" | sed 's/^[^ ]* //')
depth=0
while [ -n "$images" ] && [ $depth -lt 32 ]; do
    images=$(printf '%s\n' "$images" | while IFS= read -r path; do backing "$path"; done)
    set --
    while IFS= read -r path; do
        if [ -n "$path" ]; then
            judge_disk "$path"
            set -- "$@" "$path"
        fi
    done <<BELOW
$images
BELOW
    if [ $# -gt 0 ]; then
        own="$own
$(identities "$@")"
    fi
    depth=$((depth + 1))
done

# The same file is the same disk under any name: link, mount, other VM.
paths=$(grep -h '^disk /' "$guard"/????????-????-????-????-???????????? 2>/dev/null | sed 's/^disk //')
IFS='
'
set -f # a path is no pattern
# shellcheck disable=SC2086 # a path a line
set -- $paths
unset IFS
guarded=$(identities "$@")
while read -r identity _; do
    [ -n "$identity" ] || continue
    same=$(printf '%s\n' "$guarded" | grep "^$identity ") || continue
    while IFS= read -r found; do
        judge_disk "${found#* }"
    done <<SAME
$same
SAME
done <<OWN
$own
OWN

exit 0
