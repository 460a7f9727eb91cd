#!/bin/bash
# ./lab host PLACE [COMMAND...]: runs a command (a shell by default) on one of the lab's hosts: north, south, or hub, where
# the vault runs.    ./lab host south virsh list --all
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_root
[ $# -gt 0 ] || die 'usage: ./lab host north|south|hub [COMMAND...]'
place=$1
shift
address_of "$place" >/dev/null
[ $# -gt 0 ] || set -- bash
inside "$place" "$@"
