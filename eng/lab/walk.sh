#!/bin/bash
# ./lab walk [--rounds N] [--seed S]: every command on guest one, round after round, and in each of them something of the lab
# is killed with SIGKILL while a step runs: which step and what is chosen by the seed, so that the same seed walks the same
# way. Needs a lab that is up. Whatever was killed is started again as a service manager would; then the command has to have
# done its work, by itself or when its job is retried, the guest must hold every record it should, and nothing may be left
# over. Ends with "N kills, M failures".
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$LAB_ROOT/eng/lab/place.sh"
. "$LAB_ROOT/eng/lab/product.sh"
. "$LAB_ROOT/eng/lab/guests.sh"
. "$LAB_ROOT/eng/lab/observe.sh"

rounds=1 seed=$(date +%s)
while [ $# -gt 0 ]; do
    case "$1:${2:-}" in
        --rounds:[0-9]*) rounds=$2 ;;
        --seed:[0-9]*) seed=$2 ;;
        *) die 'usage: ./lab walk [--rounds N] [--seed S]' ;;
    esac
    shift 2
done
need_root
need_up
RANDOM=$((seed % 32768))

readonly VICTIMS='vault agent-north agent-south libvirtd-north libvirtd-south daemons-south guest-south nothing'
readonly PATIENCE=240        # seconds until a job must have ended, kills and restarts included
kills=0 failures=0

pick() { local words=($1); echo "${words[RANDOM % ${#words[@]}]}"; }

pids_of() {
    local pid
    case $1 in
        vault) cat "$LAB_DIR/hub/vault.pid" ;;
        agent-*) cat "$LAB_DIR/${1#agent-}/agent.pid" ;;
        libvirtd-*) cat "$LAB_DIR/${1#libvirtd-}/run/libvirtd.pid" ;;
        daemons-*) for pid in $(processes_of "${1#daemons-}"); do
            ! tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q '^[^ ]*qemu-storage-daemon' || echo "$pid"
        done ;;
        guest-*) qemu_pid_of "${1#guest-}" one || true ;;
        nothing) ;;
    esac 2>/dev/null
}

strike() {
    local pids
    mapfile -t pids < <(pids_of "$1")
    [ ${#pids[@]} -gt 0 ] || return 0
    kill -KILL "${pids[@]}" 2>/dev/null || true
    kills=$((kills + 1))
}

# What a service manager would start again; the rest is Understudy's to mend.
revive() {
    case $1 in
        vault) start_vault ;;
        agent-*) start_agent "${1#agent-}" ;;
        libvirtd-*) start_libvirt "${1#libvirtd-}" ;;
    esac
}

job_is() { understudy job show "$1" --json | jq -e "$2" >/dev/null 2>&1; }
job_has_ended() { job_is "$1" '.state == "Succeeded" or .state == "Failed" or .state == "Cancelled"'; }
job_rests() { job_has_ended "$1" || job_is "$1" '.state == "Waiting" and .wait != "waiting for host"'; }

# walk WHAT COMMAND...: starts a command's job, kills the victim while a step of it runs, and sees it through.
walk() {
    local what=$1 victim step job reached=no
    shift
    victim=$(pick "$VICTIMS")
    step=$((RANDOM % 7))
    job=$("$@" --no-wait --json | jq .id)
    for _ in $(seq 400); do
        if job_is "$job" ".steps[$step].state == \"Running\""; then reached=yes; break; fi
        ! job_rests "$job" || break
        sleep 0.02
    done
    strike "$victim"
    sleep 0.3
    revive "$victim"
    wait_for "$PATIENCE" "job $job ($what; $victim killed in step $((step + 1)))" job_rests "$job"
    if job_is "$job" '.state == "Failed"'; then
        understudy job retry "$job" --no-wait --json >/dev/null
        wait_for "$PATIENCE" "job $job ($what), retried" job_rests "$job"
    fi
    if job_is "$job" '.state == "Succeeded" or .state == "Waiting"'; then
        say "ok      $what: $victim killed in step $((step + 1)) ($reached)"
    else
        say "FAILED  $what: $victim killed in step $((step + 1)): $(understudy job show "$job" --json | jq -c '.error // .steps')"
        failures=$((failures + 1))
        return 1
    fi
    last_job=$job
}

# --- the facts that must hold between commands --------------------------------------------------------------------------

fact() {
    local what=$1
    shift
    "$@" >/dev/null && return 0
    say "FAILED  after $last: $what"
    failures=$((failures + 1))
}

# Where the guest must run, and that it runs there only. A killed guest is started again as its administrator would.
runs_only_on() {
    local here=$1 there=north
    [ "$here" = south ] || there=south
    domain_runs "$here" one || inside "$here" virsh -q start one || return 1
    ! domain_runs "$there" one
}

guest_is_whole() { guest_said "$1" one '^READY ' && ! guest_said "$1" one '^VERIFY-FAILED'; }

expect() {
    local site=$1 state=$2
    fact "the VM is '$(vm_field one .state)', not '$state'" eventually 60 vm_state_is one "$state"
    fact "it does not run on $site alone" eventually 30 runs_only_on "$site"
    fact "its guest has not verified its records" eventually 60 guest_is_whole "$site"
}

eventually() {
    local limit=$1 begun=$EPOCHREALTIME
    shift
    until "$@" >/dev/null 2>&1; do
        ! awk -v a="$begun" -v b="$EPOCHREALTIME" -v l="$limit" 'BEGIN { exit !(b - a > l) }' || return 1
        sleep 0.3
    done
}

# --- the walk -----------------------------------------------------------------------------------------------------------

guest() { last=$1; walk "$@" || true; }

round() {
    guest protect understudy vm protect one --to south --policy every-15s
    eventually 120 has_points one 2 || { say 'FAILED  no points after protect'; failures=$((failures + 1)); return; }
    expect north protected

    guest test understudy vm test one --point "$(points_of one | jq -r '.[0].id')"
    understudy job complete "$last_job" --json >/dev/null || true
    eventually 60 job_has_ended "$last_job" || true
    expect north protected

    guest 'planned failover' understudy vm failover one
    expect south 'commit pending'
    guest cancel understudy vm cancel one
    expect north protected

    guest 'unplanned failover' understudy vm failover one --unplanned --confirm FAILOVER
    expect south 'commit pending'
    guest 'change of point' understudy vm change-point one --point "$(points_of one | jq -r '.[0].id')"
    expect south 'commit pending'
    guest cancel understudy vm cancel one
    expect north protected

    for branch in $(vm_field one '.branches // [] | .[].name'); do
        guest 'delete branch' understudy point delete one "$branch" --confirm "$branch"
    done
    guest unprotect understudy vm unprotect one
    expect north unprotected
    fact 'something is left on north' eventually 30 leaves_nothing north one
    fact 'something is left on south' eventually 30 leaves_nothing south one
}

understudy policy set every-15s --frequency 15s --retention 1h --json >/dev/null
say "walk of $rounds rounds, seed $seed"
last=start last_job=0
for ((number = 1; number <= rounds; number++)); do
    say "round $number"
    round
done
say "$kills kills, $failures failures"
[ "$failures" -eq 0 ]
