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
case "$2" in
    prepare | migrate | restore) ;;
    *) exit 0 ;;
esac
[ -d "$guard" ] || exit 0

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

# The same file is the same disk under any name: link, mount, other VM.
while IFS= read -r path; do
    case $path in
        /*) ;;
        *) path=$(volume "${path%%/*}" "${path#*/}") ;;
    esac
    [ -n "$path" ] || continue
    real=$(readlink -f -- "$path" 2>/dev/null) || real=$path
    while IFS= read -r line; do
        disk=${line#*:disk }
        # shellcheck disable=SC3013 # dash, bash and busybox all have it
        if [ "$disk" = "$real" ] || [ "$disk" -ef "$path" ]; then
            judge "${line%%:disk *}"
        fi
    done <<DISKS
$disks
DISKS
done <<PATHS
$paths
PATHS

exit 0
