#!/bin/bash
# ./lab walk [--rounds N] [--seed S] [--again]: every command on guest one, round after round, and in each of them something of
# the lab is killed with SIGKILL while a step runs. Every step of every command is to meet every victim in the end: what was
# tried is noted in the lab's folder, and the next round, or the next walk, takes what is left, in an order that the seed makes;
# commands of which nothing is left are passed over where the round allows it (--again: they are not). Needs a lab that is up,
# with guest one unprotected. Whatever was killed is started again as a service manager would; then the command has to have done
# its work, by itself or when its job is retried, the guest must hold every record it should, must not have been started anew by
# anybody, and nothing may be left over. Ends with "N kills, M failures" and how many pairs of step and victim have been struck
# of those there are. A job that does not end, or a VM in another state than it should be, ends the walk: the lab stays as it is.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$LAB_ROOT/eng/lab/place.sh"
. "$LAB_ROOT/eng/lab/product.sh"
. "$LAB_ROOT/eng/lab/guests.sh"
. "$LAB_ROOT/eng/lab/observe.sh"
. "$LAB_ROOT/eng/lab/ask.sh"
. "$LAB_ROOT/eng/lab/strike.sh"
. "$LAB_ROOT/eng/lab/rounds.sh"

rounds=1 seed=$(date +%s) again=no
while [ $# -gt 0 ]; do
    case "$1:${2:-}" in
        --rounds:[0-9]*) rounds=$2; shift ;;
        --seed:[0-9]*) seed=$2; shift ;;
        --again:*) again=yes ;;
        *) die 'usage: ./lab walk [--rounds N] [--seed S] [--again]' ;;
    esac
    shift
done
need_root
need_up
RANDOM=$((seed % 32768))

trap move_on EXIT
chrt --reset-on-fork --rr --pid 1 $$ 2>/dev/null || true    # a moment is to be one on a busy machine too; what is started is not meant
readonly PATIENCE=240       # seconds until a job must have ended, kills and restarts included
readonly ANSWER=$LAB_DIR/walk.answer
failures=0 finish='' here=north from=north to=south given='' victims='' story='' job_id=0 guest_pid='' guest_killed=no guest_killed_at=0 begun=$EPOCHREALTIME
touch "$STRUCK"

# --- one command ----------------------------------------------------------------------------------------------------------

# walk WHAT METHOD PATH [JSON]: calls a command that makes a job, kills while chosen steps of it run, and sees it through.
# $finish, if set, is called (POST) when the job waits for its user.
walk() {
    local what=$1 number numbers ending=$finish
    shift
    last=$what newest=$(newest_job) victims=' ' story=''
    numbers=$(plan "$what")
    find_parts
    stand_still
    carry_out "$@" &
    caller=$!
    for number in $numbers; do
        strike_in "$what" "$number"
        while can_be_struck_again "$what" "$number"; do
            strike_in "$what" "$number"
        done
    done
    wait "$caller" || true
    finish=''
    job_id=$(command_job)
    if [ -z "$job_id" ] && is_being_compared; then
        must_hold "it is not protected again" eventually 120 vm_state_is one protected
        finish=$ending
        walk "$what" "$@"
        return
    fi
    [ -n "$job_id" ] || give_up "$what was refused: $(jq -c . "$ANSWER" 2>/dev/null || cat "$ANSWER")"
    see_through "$what"
    fact "its job has other steps than the walk knows" [ "$(look "select count(*) from job_steps where JobId = $job_id")" = "${steps_of[$what]}" ]
}

# A guest that was killed is compared when its next cycle begins, which may be in the moment of a command.
is_being_compared() { is_less "$(seconds_since "$guest_killed_at")" 60 && jq -e '.code == "state-refuses" and (.title | contains("resynchronising"))' "$ANSWER"; } >/dev/null 2>&1

carry_out() {
    ask "$@" >"$ANSWER" || true
    [ -n "$finish" ] || return 0
    job_id=$(command_job)
    [ -n "$job_id" ] && eventually "$PATIENCE" job_rests "$job_id" || return 0
    eventually 30 ask POST "${finish/JOB/$job_id}" '{}' || true
}

# The job ends by itself, or when it is retried; a guest that was killed is started again by its administrator.
see_through() {
    local what=$1 tries=0 waited=$EPOCHREALTIME
    while true; do
        eventually 4 job_rests "$job_id" || {
            is_less "$(seconds_since "$waited")" "$PATIENCE" || give_up "$what: job $job_id does not end; $(story)"
            start_what_was_killed
            continue
        }
        if job_is "$job_id" Waiting; then
            eventually 60 all_are_back || give_up 'vault and agents do not come back'
            case $(look "select Wait from jobs where Id = $job_id") in
                'waiting for action') story+="the guest was asked to shut down again, " ;;
                *) break ;;
            esac
            eventually 30 ask POST "/jobs/$job_id/complete" '{}' || true
            sleep 1
        elif job_is "$job_id" Succeeded; then
            break
        else
            story+="retried after: $(look "select json_extract(ErrorJson, '\$.what') || ' ' || json_extract(ErrorJson, '\$.why') from jobs where Id = $job_id"), "
            tries=$((tries + 1))
            [ $tries -le 3 ] || give_up "$what: job $job_id fails however often it is retried; $(story)"
            eventually 60 all_are_back || give_up 'vault and agents do not come back'
            start_what_was_killed
            eventually 30 ask POST "/jobs/$job_id/retry" '{}' || give_up "$what: job $job_id cannot be retried; $(story)"
        fi
    done
    eventually 60 all_are_back || give_up 'vault and agents do not come back'
    start_what_was_killed
    say "ok      $what ($(seconds_since "$waited") s after the last kill): $(story)"
}

story() { if [ -n "$story" ]; then echo "${story%, }"; else echo 'nothing killed'; fi; }

# As its administrator would. The start guard refuses it where the VM may not run.
start_what_was_killed() {
    case $victims in *guest-*) ;; *) return 0 ;; esac
    ! domain_is_off "$from" one || inside "$from" virsh -q start one >/dev/null 2>&1 || true
    [ -z "$given" ] || ! domain_is_off "$to" "$given" || inside "$to" virsh -q start "$given" >/dev/null 2>&1 || true
}

# call WHAT METHOD PATH [JSON]: a command without a job; what is killed is killed at some moment of the call, and the call
# made once more when it did not come through.
call() {
    local what=$1 victim pids
    shift
    last=$what victims=' ' story=''
    ask "$@" >"$ANSWER" &
    caller=$!
    sleep "0.0$((RANDOM % 40 + 10))"
    for victim in $(untried "$what" 1 | shuf -n 9; shuf -n 1 -e vault agent-source agent-target); do
        mapfile -t pids < <(pids_of "$victim")
        if [ ${#pids[@]} -gt 0 ] && kill -KILL "${pids[@]}" 2>/dev/null; then
            kills=$((kills + 1)) victims+="$victim " story="$victim during the call, "
            case $victim in guest-*) guest_killed=yes guest_killed_at=$EPOCHREALTIME ;; esac
            note "$what" 1 "$victim" struck
            break
        fi
        note "$what" 1 "$victim" absent
    done
    sleep 0.2
    revive "$victim"
    wait "$caller" || {
        story+="called again, "
        eventually 60 all_are_back || give_up 'vault and agents do not come back'
        ask "$@" >"$ANSWER" || give_up "$what is refused: $(cat "$ANSWER"); $(story)"
    }
    eventually 60 all_are_back || give_up 'vault and agents do not come back'
    start_what_was_killed
    say "ok      $what: $(story)"
}

# --- the facts that must hold between commands ----------------------------------------------------------------------------

give_up() {
    say "FAILED  $*"
    failures=$((failures + 1))
    [ "${job_id:-0}" = 0 ] || ask GET "/jobs/$job_id" | jq -c '{state, wait, error, steps: [.steps[] | {title, state, detail, error}]}' || true
    say 'the walk ends here; the lab stays as it is'
    conclude
}

fact() {
    local what=$1
    shift
    "$@" >/dev/null && return 0
    say "FAILED  after $last ($(story)): $what"
    failures=$((failures + 1))
}

must_hold() {
    local what=$1
    shift
    "$@" >/dev/null || give_up "after $last ($(story)): $what"
}

eventually() {
    local limit=$1 since=$EPOCHREALTIME
    shift
    until "$@" >/dev/null 2>&1; do
        ! awk -v a="$since" -v b="$EPOCHREALTIME" -v l="$limit" 'BEGIN { exit !(b - a > l) }' || return 1
        sleep 0.2
    done
}

conclude() {
    local what number victim total=0 struck=0 absent=0
    for what in "${!steps_of[@]}"; do
        for number in $(seq "${steps_of[$what]}"); do
            for victim in $VICTIMS; do
                if grep -q "^$what"$'\t'"$number"$'\t'"$victim"$'\tstruck' "$STRUCK"; then
                    struck=$((struck + 1))
                elif grep -q "^$what"$'\t'"$number"$'\t'"$victim"$'\tabsent' "$STRUCK"; then
                    absent=$((absent + 1))
                fi
                total=$((total + 1))
            done
        done
    done
    say "of $total pairs of a step and a victim in ${#steps_of[@]} commands, $struck have been struck, in $absent nothing of the victim runs, $((total - struck - absent)) are left"
    say "$kills kills, $failures failures, $(seconds_since "$begun") s"
    [ "$failures" -eq 0 ] && exit 0 || exit 1
}

# --- the walk -------------------------------------------------------------------------------------------------------------

say "walk of $rounds rounds, seed $seed"
last=start
prepare
for ((round = 1; round <= rounds; round++)); do
    say "round $round, from $here"
    from=$here to=$(other "$here")
    stay
    move
    here=$to
done
conclude
