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
