#!/bin/bash
# ./lab cable PLACE out|in     pulls a place's cable, or puts it back: north, south, or hub, where the vault runs (the sites
#                              then still reach each other, and the machine nobody)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root
need_up
usage() { die 'usage: ./lab cable north|south|hub out|in'; }
[ $# -eq 2 ] || usage
case $2 in out) state=down ;; in) state=up ;; *) usage ;; esac
case $1 in
    north | south)
        inside hub ip link set "$1" "$state"
        ;;
    hub)
        # The switch goes on switching; only the vault's own address comes and goes.
        if [ "$state" = down ]; then
            inside hub ip addr flush dev switch
        else
            inside hub ip addr replace "$LAB_VAULT_ADDRESS/24" dev switch
        fi
        ;;
    *) usage ;;
esac
