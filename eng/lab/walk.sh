#!/bin/bash
# ./lab walk [--rounds N] [--seed S]: every command on guest one, round after round, and in each of them something of the lab
# is killed with SIGKILL while a step runs. Every step of every command is to meet every victim in the end: what was tried is
# noted in the lab's folder, and the next round, or the next walk, takes what is left, in an order that the seed makes. Needs a
# lab that is up. Whatever was killed is started again as a service manager would; then the command has to have done its work,
# by itself or when its job is retried, the guest must hold every record it should, and nothing may be left over. Ends with
# "N kills, M failures" and how many pairs of step and victim have been struck of those there are.
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

readonly VICTIMS='vault agent-north agent-south libvirtd-north libvirtd-south daemons-north daemons-south guest-south guest-north'
readonly PATIENCE=240        # seconds until a job must have ended, kills and restarts included
readonly STRUCK=$LAB_DIR/walk.struck   # a line for each attempt: command, step, victim, whether something died while the step ran
kills=0 failures=0
touch "$STRUCK"

# choose WHAT STEPS: the step and victim to strike in a command, one that has not been tried when there is one.
choose() {
    local what=$1 number victim
    for number in $(seq "$2"); do
        for victim in $VICTIMS; do
            printf '%s\t%s\t%s\t%s\n' "$(grep -c "^$what"$'\t'"$number"$'\t'"$victim"$'\t' "$STRUCK" || true)" $((RANDOM)) "$number" "$victim"
        done
    done | sort -n -k1,1 -k2,2 | head -n 1 | cut -f 3,4
}

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
    esac 2>/dev/null
}

# False when there is nothing of it to kill.
strike() {
    local pids
    mapfile -t pids < <(pids_of "$1")
    [ ${#pids[@]} -gt 0 ] && kill -KILL "${pids[@]}" 2>/dev/null || return 1
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

# The vault's own words, without a command's start-up: steps may last a few milliseconds.
job() {
    curl --silent --max-time 5 --cacert "$LAB_VAULT_DATA/ca.crt" -H "Authorization: Bearer $(cat "$LAB_VAULT_DATA/admin.token")" \
        "$LAB_VAULT_URL/api/v1/jobs/$1"
}
job_is() { job "$1" | jq -e "$2" >/dev/null 2>&1; }
job_has_ended() { job_is "$1" '.state == "Succeeded" or .state == "Failed" or .state == "Cancelled"'; }
job_rests() { job_has_ended "$1" || job_is "$1" '.state == "Waiting" and .wait != "waiting for host"'; }

# walk WHAT COMMAND...: starts a command's job, kills the victim while a step of it runs, and sees it through.
walk() {
    local what=$1 victim number id reached='too late' began state
    shift
    began=$("$@" --no-wait --json) || {
        say "FAILED  $what was refused: $(jq -c . <<<"$began")"
        failures=$((failures + 1))
        return 1
    }
    id=$(jq .id <<<"$began")
    read -r number victim < <(choose "$what" "$(jq '.steps | length' <<<"$began")")
    for _ in $(seq 1000); do
        state=$(job "$id" | jq -r ".steps[$((number - 1))].state")
        if [ "$state" = Running ]; then
            reached=while
            sleep "0.0$((RANDOM % 10))"
            break
        fi
        [ "$state" = Pending ] && ! job_rests "$id" || break
    done
    strike "$victim" || reached="nothing of it was running, $reached"
    printf '%s\t%s\t%s\t%s\n' "$what" "$number" "$victim" "$([ "$reached" = while ] && echo struck || echo missed)" >>"$STRUCK"
    sleep 0.3
    revive "$victim"
    wait_for "$PATIENCE" "job $id ($what; $victim killed in step $number)" job_rests "$id"
    if job_is "$id" '.state == "Failed"'; then
        reached="$reached, retried after: $(job "$id" | jq -r '.error.why // .error')"
        understudy job retry "$id" --no-wait --json >/dev/null
        wait_for "$PATIENCE" "job $id ($what), retried" job_rests "$id"
    fi
    last_job=$id
    if job_is "$id" '.state == "Succeeded" or .state == "Waiting"'; then
        say "ok      $what: $victim killed in step $number, '$(job "$id" | jq -r ".steps[$((number - 1))].title")' ($reached)"
    else
        say "FAILED  $what: $victim killed in step $number: $(job "$id" | jq -c '.error // .steps')"
        failures=$((failures + 1))
        return 1
    fi
}

# --- the facts that must hold between commands --------------------------------------------------------------------------

fact() {
    local what=$1
    shift
    "$@" >/dev/null && return 0
    say "FAILED  after $last: $what"
    failures=$((failures + 1))
}

other() { if [ "$1" = north ]; then echo south; else echo north; fi; }

# Where the guest must run, and that it runs there only. A killed guest is started again as its administrator would.
runs_only_on() {
    domain_runs "$1" one || inside "$1" virsh -q start one || return 1
    ! domain_runs "$(other "$1")" one
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

delete_branches() {
    local branch
    for branch in $(branch_names one); do
        guest 'delete branch' understudy point delete one "$branch" --confirm "$branch"
    done
}

nothing_is_left() {
    fact 'something is left on north' eventually 30 leaves_nothing north one
    fact 'something is left on south' eventually 30 leaves_nothing south one
}

protect() {
    fact "it does not run on $1 alone" eventually 30 runs_only_on "$1"
    fact "the vault does not see it run" eventually 30 vm_power_is one running
    guest protect understudy vm protect one --to "$2" --policy every-15s
    eventually 120 has_points one 2 || { fact 'there are no points' false; return 1; }
    expect "$1" protected
}

# round FROM TO: over and home again in every way.
round() {
    protect "$1" "$2" || return 0
    guest test understudy vm test one --point "$(points_of one | jq -r '.[0].id')"
    understudy job complete "$last_job" --json >/dev/null || true
    eventually 60 job_has_ended "$last_job" || true
    expect "$1" protected

    guest 'planned failover' understudy vm failover one
    expect "$2" 'commit pending'
    guest cancel understudy vm cancel one
    expect "$1" protected

    guest 'unplanned failover' understudy vm failover one --unplanned --confirm FAILOVER
    expect "$2" 'commit pending'
    guest 'change of point' understudy vm change-point one --point "$(points_of one | jq -r '.[0].id')"
    expect "$2" 'commit pending'
    guest cancel understudy vm cancel one
    expect "$1" protected

    delete_branches
    guest unprotect understudy vm unprotect one
    expect "$1" unprotected
    nothing_is_left
}

# move FROM TO: over for good; the old disks are deleted by name, so the next round goes the other way.
move() {
    protect "$1" "$2" || return 0
    guest 'planned failover' understudy vm failover one
    expect "$2" 'commit pending'
    guest commit understudy vm commit one
    expect "$2" 'failed over'
    guest 'unprotect at the target' understudy vm unprotect one --keep-at-target
    expect "$2" unprotected
    delete_branches
    nothing_is_left
}

understudy policy set every-15s --frequency 15s --retention 1h --json >/dev/null
say "walk of $rounds rounds, seed $seed"
last=start last_job=0 here=north
domain_runs north one || here=south
understudy network map lan --to lan --from-site south --to-site north >/dev/null
for ((number = 1; number <= rounds; number++)); do
    say "round $number"
    round "$here" "$(other "$here")"
    move "$here" "$(other "$here")"
    here=$(other "$here")
done
say "$(sort -u "$STRUCK" | grep -c struck$ || true) pairs of a step and a victim struck so far, and $(sort -u "$STRUCK" | grep -c missed$ || true) tried in vain: the step was over, or nothing of the victim ran"
say "$kills kills, $failures failures"
[ "$failures" -eq 0 ]
