#!/bin/bash
# ./lab power SITE off                 the host loses power: everything on it is killed at once
# ./lab power SITE on [--no-agent]     it boots again, with another boot id and an empty /run: libvirt, what is set to start
#                                      by itself, and the agent if one has joined
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$LAB_ROOT/eng/lab/place.sh"
. "$LAB_ROOT/eng/lab/product.sh"

usage() { die 'usage: ./lab power north|south off | on [--no-agent]'; }

need_root
need_up
site=${1:-}
case " $LAB_SITES " in *" $site "*) ;; *) usage ;; esac
case "${*:2}" in
    off)
        power_off "$site"
        ;;
    on | 'on --no-agent')
        boot "$site"
        [ "${3:-}" = --no-agent ] || [ ! -f "$(agent_data "$site")/agent.json" ] || start_agent "$site"
        ;;
    *) usage ;;
esac
