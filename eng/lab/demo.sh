#!/bin/bash
# eng/lab/demo.sh [--json FILE]: the whole cycle, from nothing, checked at every step by tools outside the product. Ends
# with everything removed; when a step fails, the lab stays up to be looked at. FILE gets one object a step:
# {"step","ok","seconds","rpo_seconds","rto_seconds","records_lost","note"}
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$LAB_ROOT/eng/lab/product.sh"
. "$LAB_ROOT/eng/lab/guests.sh"
. "$LAB_ROOT/eng/lab/observe.sh"
. "$LAB_ROOT/eng/lab/steps.sh"
. "$LAB_ROOT/eng/lab/steps-planned.sh"

json_file=
case "$#:${1:-}" in
    0:) ;;
    2:--json) json_file=$(realpath -m "$2") ;;
    *) die 'usage: ./lab demo [--json FILE]' ;;
esac
need_root

# A reason for the step's own line; a step may die in a subshell, so it goes through a file.
die() {
    printf 'lab: %s\n' "$*" >&2
    [ ! -d "$LAB_DIR" ] || printf '%s' "$*" >"$LAB_DIR/failure"
    exit 1
}

number() { if [ -n "$1" ]; then echo "$1"; else echo null; fi; }

# conclude OK NOTE: the current step's object and line.
conclude() {
    local seconds
    seconds=$(seconds_since "$step_begun")
    [ -z "$json_file" ] || jq -nc --arg step "$step" --argjson ok "$1" --argjson seconds "$seconds" --argjson rpo "$(number "$rpo")" \
        --argjson rto "$(number "$rto")" --argjson lost "$(number "$lost")" --arg note "$2" \
        '{step: $step, ok: $ok, seconds: $seconds, rpo_seconds: $rpo, rto_seconds: $rto, records_lost: $lost, note: $note}' >>"$json_file"
    summary+=("$(printf '%-18s %-7s %7s s   %8s   %8s   %8s   %s' "$step" "$([ "$1" = true ] && echo ok || echo FAILED)" "$seconds" "${rpo:--}" "${rto:--}" "${lost:--}" "$2")")
}

show_summary() {
    say ''
    printf '%-18s %-7s %7s     %8s   %8s   %8s\n' STEP '' TIME 'RPO (s)' 'RTO (s)' LOST
    printf '%s\n' "${summary[@]}"
}

on_exit() {
    local rc=$?
    [ -n "$step" ] || exit "$rc"
    conclude false "$(cat "$LAB_DIR/failure" 2>/dev/null || echo "stopped with exit code $rc")"
    show_summary
    say "the demo FAILED at $step; the lab is still up (./lab status, ./lab down; logs in $LAB_DIR/*/*.log)" >&2
    exit 1
}

# run STEP FUNCTION
run() {
    step=$1 rpo='' rto='' lost='' note='' step_begun=$EPOCHREALTIME
    say "$step"
    "$2"
    conclude true "$note"
    say "    $(seconds_since "$step_begun") s${rpo:+, RPO $rpo s}${rto:+, RTO $rto s}${lost:+, $lost records lost}: $note"
    step=
}

step='' summary=()
[ -z "$json_file" ] || : >"$json_file"
begun=$EPOCHREALTIME
"$LAB_ROOT/eng/lab/down.sh"
"$LAB_ROOT/eng/lab/up.sh" --hosts-only
build_begun=$EPOCHREALTIME
build_product
say "product built   $(seconds_since "$build_begun") s"
trap on_exit EXIT

run join join
run protect protect
run first_copy first_copy
run cycles cycles
run test test_older_point
run unplanned unplanned
run commit_unplanned commit_unplanned
run planned planned
run cancel cancel
run planned_again planned_again
run change_point change_point
run commit commit

show_summary
"$LAB_ROOT/eng/lab/down.sh"
say "the whole cycle, lab included, in $(seconds_since "$begun") s; nothing is left on this machine"
