# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with walk.sh
# eng/lab/strike.sh: what the walk kills, when, and what it remembers of it. Sourced by walk.sh.
#
# A step may last a few milliseconds. So a command runs in slow motion: vault and agents stand still (SIGSTOP) while the walk
# looks at its job, and go on for a moment between two looks. What is killed while the job was seen in a step is killed in it.
# libvirt and QEMU are never stopped.

# By their part for the VM, not by their site: the walk goes both ways. The view server is a loop of the target's agent and dies
# with it. A guest of the target is the VM itself, its test, or the VM that was given a point.
readonly VICTIMS='vault agent-source agent-target libvirtd-source libvirtd-target daemons-source daemons-target guest-source guest-target'
readonly STRUCK=$LAB_DIR/walk.struck    # a line each: command, step, victim, and struck, absent (nothing of it ran) or missed (the step was over)
readonly STRIKES=4                      # at most so many in one command, each by another victim

kills=0
parts=()
exec {never}<> <(:)         # nothing ever comes out of it

times_tried() { grep -c "^$1"$'\t'"$2"$'\t'"$3"$'\t'"$4" "$STRUCK" || true; }

# untried WHAT STEP: the victims that have neither been struck in it nor found absent.
untried() {
    local victim
    for victim in $VICTIMS; do
        grep -qE "^$1"$'\t'"$2"$'\t'"$victim"$'\t(struck|absent)' "$STRUCK" || echo "$victim"
    done
}

# least_tried WHAT STEP: all victims, those first that have been tried there least.
least_tried() {
    local each
    for each in $VICTIMS; do
        printf '%s %s %s\n' "$(times_tried "$1" "$2" "$each" '')" "$RANDOM" "$each"
    done | sort -n -k1,1 -k2,2 | cut -d' ' -f3
}

# plan WHAT: the steps to strike in, ascending: those with most victims left first, those too short to be met last.
plan() {
    local number left missed
    for number in $(seq "${steps_of[$1]}"); do
        left=$(untried "$1" "$number" | wc -l)
        missed=$(times_tried "$1" "$number" '[^'$'\t'']*' missed)
        [ "$missed" -lt 6 ] || left=0
        printf '%s %s %s %s\n' "$((left > 0 ? 0 : 1))" "$((missed - left))" "$RANDOM" "$number"
    done | sort -n -k1,1 -k2,2 -k3,3 | awk -v most="$STRIKES" '
        NR == 1 || (NR <= most && $1 == 0) { print $4 }' | sort -n
}

# Succeeds when something is left to be tried in a command.
is_wanted() {
    local number
    for number in $(seq "${steps_of[$1]}"); do
        [ "$(times_tried "$1" "$number" '[^'$'\t'']*' missed)" -ge 6 ] || [ -z "$(untried "$1" "$number")" ] || return 0
    done
    return 1
}

site_of_part() { case $1 in *-source) echo "$from" ;; *-target) echo "$to" ;; esac; }

# The pids of a victim, without empty lines.
pids_of() {
    local site pid guest
    site=$(site_of_part "$1")
    case $1 in
        vault) alive_part hub vault ;;
        agent-*) alive_part "$site" agent ;;
        libvirtd-*) cat "$LAB_DIR/$site/run/libvirtd.pid" ;;
        daemons-*) for pid in $(processes_of "$site"); do
            ! tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q '^[^ ]*qemu-storage-daemon' || echo "$pid"
        done ;;
        guest-source) pid_of_guest "$site" one ;;
        guest-target) for guest in one one-test ${given:-}; do
            pid_of_guest "$site" "$guest" && break
        done ;;
    esac 2>/dev/null || true
}

alive_part() { ! part_runs "$1" "$2" || cat "$LAB_DIR/$1/$2.pid"; }

# Without entering the host: its /run is a folder here.
pid_of_guest() {
    local pid
    pid=$(cat "$LAB_DIR/$1/run/libvirt/qemu/$2.pid" 2>/dev/null) && [ -d "/proc/$pid" ] && echo "$pid"
}

# $parts are the pids of vault and agents: nothing is started between two looks, so that a moment is one.
find_parts() { mapfile -t parts < <(pids_of vault; pids_of agent-source; pids_of agent-target); }
stand_still() { [ ${#parts[@]} -eq 0 ] || kill -STOP "${parts[@]}" 2>/dev/null || true; }
move_on() { [ ${#parts[@]} -eq 0 ] || kill -CONT "${parts[@]}" 2>/dev/null || true; }
pause() { read -rt "$1" -u "$never" || true; }

# approach NUMBER: lets the job of the command under way (the first after $newest) go on until that step runs, and stands
# still then; fails, with everything going on, when the step is over, the job rests, or there is no job.
approach() {
    local number=$1 at state job_state wait seen='' same=0 patient
    find_parts
    while true; do
        stand_still
        job_id=$(command_job)
        at='' state='' job_state='' wait=''
        [ -z "$job_id" ] || read -r at state job_state wait < <(where_is "$job_id") || true
        case $state in Running | Waiting) [ "$at" != "$number" ] || return 0 ;; esac
        if [ -z "$job_id" ] && ! kill -0 "$caller" 2>/dev/null || [ "${at:-0}" -gt "$number" ] 2>/dev/null; then break; fi
        case $job_state in Succeeded | Failed | Cancelled) break ;; Waiting) [ "$wait" = 'waiting for host' ] || break ;; esac
        [ "$job_state" != '' ] || [ -z "$job_id" ] || [ "$same" -lt 200 ] || break
        if [ "$at$state" = "$seen" ]; then same=$((same + 1)); else seen=$at$state same=0; fi
        move_on
        # The longer nothing changes the longer the moment, but for what comes just before the step.
        if [ -z "$job_id" ] || [ "${at:-0}" = $((number - 1)) ]; then patient=100; else patient=10; fi
        if [ "$same" -gt $patient ]; then pause 0.03; else pause 0.005; fi
    done
    move_on
    return 1
}

# strike_in WHAT NUMBER: kills something in that step, when it can be met.
strike_in() {
    local what=$1 number=$2 victim pids at state
    [ "$(wc -w <<<"$victims")" -lt "$STRIKES" ] || return 0
    approach "$number" || { note_missed "$what" "$number"; return 0; }
    # Not always at the step's first moment, unless it has shown to be a short one.
    if [ $((RANDOM % 5)) -ge 2 ] && [ "$(times_tried "$what" "$number" - missed)" = 0 ]; then
        move_on
        pause "0.$(printf %03d $((RANDOM % 3 ? RANDOM % 20 : RANDOM % 300)))"
        stand_still
        read -r at state _ < <(where_is "$job_id") || true
        case $at$state in "$number"Running | "$number"Waiting) ;; *) move_on; note_missed "$what" "$number"; return 0 ;; esac
    fi
    for victim in $(least_tried "$what" "$number"); do
        case " $victims " in *" $victim "*) continue ;; esac
        mapfile -t pids < <(pids_of "$victim")
        if [ ${#pids[@]} -gt 0 ] && kill -KILL "${pids[@]}" 2>/dev/null; then
            kills=$((kills + 1)) victims+="$victim " story+="$victim in step $number, "
            case $victim in guest-*) guest_killed=yes guest_killed_at=$EPOCHREALTIME ;; esac
            note "$what" "$number" "$victim" struck
            break
        fi
        note "$what" "$number" "$victim" absent
    done
    if [ $((RANDOM % 2)) = 0 ]; then    # sometimes it is back before the others have noticed
        revive "$victim"
        move_on
    else
        move_on
        pause 0.1
        revive "$victim"
    fi
}

# A step that is still at work when what was killed in it is back can be struck again.
can_be_struck_again() {
    local at state victim
    [ "$(wc -w <<<"$victims")" -lt "$STRIKES" ] && job_id=$(command_job) && [ -n "$job_id" ] || return 1
    read -r at state _ < <(where_is "$job_id") || return 1
    [ "$at$state" = "$2Running" ] || return 1
    for victim in $(untried "$1" "$2"); do
        case " $victims " in *" $victim "*) ;; *) return 0 ;; esac
    done
    return 1
}

# The job of the command under way.
command_job() { look "select Id from jobs where Id > $newest and VmName = 'one' order by Id desc limit 1"; }

note() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$STRUCK"; }
note_missed() { note "$1" "$2" - missed; story+="step $2 was over, "; }

# What a service manager would start again; the rest is Understudy's to mend.
revive() {
    case $1 in
        vault) run_vault ;;
        agent-*) run_agent "$(site_of_part "$1")" ;;
        libvirtd-*)
            start_libvirt "$(site_of_part "$1")"
            mend_libvirt "$(site_of_part "$1")"
            ;;
    esac
}

run_vault() { part_runs hub vault || run_part hub vault server --data "$LAB_VAULT_DATA" --listen "$LAB_VAULT_ADDRESS:8443"; }
run_agent() { part_runs "$1" agent || run_part "$1" agent agent --data "$(agent_data "$1")"; }
all_are_back() { vault_answers && host_is_online north && host_is_online south; }

# libvirt that dies while it begins a backup counts on that backup for ever after: no other is begun, and none can be ended
# (docs/protocols/libvirt.md). This is what the administrator is told to do about it; the guest runs on. A begin under way
# looks the same for a moment.
mend_libvirt() {
    local file guest pid job
    for file in $(grep -l "async='backup'" "$LAB_DIR/$1"/run/libvirt/qemu/*.xml 2>/dev/null || true); do
        guest=$(basename "$file" .xml)
        ! eventually 4 has_no_lost_backup "$1" "$guest" || continue
        for job in $(monitor "$1" "$guest" '{"execute":"query-block-jobs"}' | jq -r '.return[].device'); do
            monitor "$1" "$guest" "{\"execute\":\"block-job-cancel\",\"arguments\":{\"device\":\"$job\"}}" >/dev/null
        done
        monitor "$1" "$guest" '{"execute":"nbd-server-stop"}' >/dev/null
        pid=$(cat "$LAB_DIR/$1/run/libvirtd.pid")
        kill "$pid"
        eventually 20 has_ended "$pid"
        sed -i "s|async='backup'[^/]*/>|async='none'/>|" "$file"
        start_libvirt "$1"
        story+="libvirt had lost a backup of $guest, mended by hand, "
    done
}
has_no_lost_backup() { [[ $(inside "$1" virsh domjobinfo "$2" 2>&1 || true) != *'backup job data missing'* ]]; }
monitor() { inside "$1" virsh qemu-monitor-command "$2" "$3"; }
has_ended() { [ ! -d "/proc/$1" ]; }
