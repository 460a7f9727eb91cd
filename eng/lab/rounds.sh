# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with walk.sh
# eng/lab/rounds.sh: the commands of the walk, in an order in which each is lawful, and what has to hold after each. Sourced by
# walk.sh. $from is the site whose VM is protected, $to the one with its replica.

readonly LAB_DESK=desk  # a VM on each site that is given disks; not one of Understudy's
readonly WORD='"confirm":"FAILOVER"'

# The commands and how many steps their jobs have; those in the last line make no job.
declare -A steps_of=(
    ['protect']=4 ['point mark']=1 ['set policy']=3 ['pause']=1 ['resume']=1
    ['exclude a disk']=3 ['include a disk']=3 ['resync']=1 ['export of a point']=1 ['export of a branch']=1
    ['mount']=1 ['unmount']=1 ['attach']=1 ['detach']=1 ['maintenance of the source']=6
    ['test']=3 ['promote']=4 ['planned failover']=8 ['cancel']=3 ['unplanned failover']=2
    ['unplanned failover with shutdown']=5 ['change of point']=1 ['commit']=1 ['delete a branch']=1 ['delete the old disks']=1
    ['unprotect']=2 ['unprotect at the target']=2
    ['policy set']=1 ['maintenance of the target']=1 ['end of maintenance']=1
)

other() { if [ "$1" = north ]; then echo south; else echo north; fi; }

prepare() {
    local site
    case $(vm_field one .state) in unprotected) ;; *) die "guest one is '$(vm_field one .state)': the walk begins with it unprotected" ;; esac
    ! domain_is_gone north one || here=south
    domain_runs "$here" one || inside "$here" virsh -q start one
    inside north virsh -q destroy two >/dev/null 2>&1 || true     # nobody needs it, and it takes processor time
    for site in $LAB_SITES; do
        LAB_RECORD_MS=1000 add_guest "$site" "$LAB_DESK" "$(built_guest)"
    done
    ask PUT /policies/walk '{"frequency":"15s","retention":"1h"}' >/dev/null
    ask PUT /policies/walk-slower '{"frequency":"20s","retention":"2h"}' >/dev/null
    understudy network map lan --to lan --from-site south --to-site north >/dev/null
}

# --- what has to hold -------------------------------------------------------------------------------------------------------

# stands SITE STATE: the VM is in that state, runs on SITE in the process it ran in before, and writes on. Only a guest
# that the walk has killed may have ended; its administrator starts it.
stands() {
    local before
    must_hold "the VM is '$(vm_field one .state)', not '$2'" eventually 60 vm_state_is one "$2"
    must_hold "it does not run on $1 alone" eventually 30 runs_only_on "$1"
    case $guest_killed in yes) ;; *) fact 'its guest runs in another process than before: something started it anew' [ "$(pid_of_guest "$1" one)" = "$guest_pid" ] ;; esac
    guest_pid=$(pid_of_guest "$1" one) guest_killed=no
    must_hold 'its guest has not verified its records' eventually 60 guest_is_whole "$1"
    before=$(newest_record_of_guest "$1" one)
    must_hold 'its guest does not write on' eventually 30 guest_wrote_past "$1" one "${before:-0}"
}

# arrives SITE STATE [RECORD]: as above, in a process of its own, and with all its records up to RECORD.
arrives() {
    must_hold "the VM is '$(vm_field one .state)', not '$2'" eventually 60 vm_state_is one "$2"
    must_hold "it does not run on $1 alone" eventually 30 runs_only_on "$1"
    must_hold 'its guest has not verified its records' eventually 60 guest_is_whole "$1"
    guest_pid=$(pid_of_guest "$1" one) guest_killed=no
    fact "its guest does not hold record ${3:-0}" holds "$1" "${3:-0}"
}

runs_only_on() {
    case $victims in *guest-*) domain_runs "$1" one || inside "$1" virsh -q start one || return 1 ;; esac
    domain_runs "$1" one && ! domain_runs "$(other "$1")" one
}

guest_is_whole() { guest_said "$1" one '^READY ' && ! guest_said "$1" one '^VERIFY-FAILED'; }

# The newest record a guest has written or found; what it has said is durable.
record_at() {
    local number
    number=$(newest_record_of_guest "$1" one)
    echo "${number:-$(verified_by_guest "$1" one)}"
}
holds() { [ "$(record_at "$1")" -ge "$2" ]; }

nothing_is_left() {
    local site
    for site in $LAB_SITES; do
        eventually 30 leaves_nothing "$site" one || fact "something is left on $site: $(traces "$site" one | head -n 5 | tr '\n' ';')" false
    done
}

# --- commands ---------------------------------------------------------------------------------------------------------------

protect() {
    must_hold "it does not run on $from" eventually 30 runs_only_on "$from"
    guest_pid=$(pid_of_guest "$from" one)
    must_hold 'the vault does not see it run' eventually 30 vm_power_is one running
    walk protect POST /vms/one/protect "{\"to\":\"$to\",\"policy\":\"walk\"}"
    stands "$from" protected
}

# Afterwards $marked is a point that has the records up to $durable.
mark() {
    durable=$(record_at "$from")
    walk 'point mark' POST /vms/one/mark '{"label":"walk"}'
    stands "$from" protected
    marked=$(points_of one | jq -r '[.[] | select(.label == "walk")][-1].id')
    must_hold 'there is no point with the mark' [ "$marked" != null ]
}

settings() {
    call 'policy set' PUT /policies/walk '{"retention":"2h"}'
    stands "$from" protected
    walk 'set policy' PATCH /vms/one '{"policy":"walk-slower"}'
    stands "$from" protected
    ask PATCH /vms/one '{"policy":"walk"}' >/dev/null || true
}

pause_and_resume() {
    walk pause POST /vms/one/pause
    stands "$from" paused
    walk resume POST /vms/one/resume
    stands "$from" protected
}

disks() {
    walk 'exclude a disk' PATCH /vms/one '{"excludedDisks":["vdc"]}'
    stands "$from" protected
    mark
    walk 'include a disk' PATCH /vms/one '{"excludedDisks":[]}'
    stands "$from" protected
    must_hold 'the disk does not come back into the points' eventually 90 disk_is_in_points
}

disk_is_in_points() { ask GET /vms/one/points/latest >/dev/null && [ "$(vm_field one '.protection.copy')" = null ]; }

resync() {
    walk resync POST /vms/one/resync
    must_hold 'it is not protected again' eventually 90 vm_state_is one protected
    stands "$from" protected
}

# export WHAT POINT: its images are whole by the checker outside the product.
export_to_folder() {
    local folder=$LAB_EXPORTS/walk
    rm -rf "$folder"
    walk "$1" POST "/vms/one/points/$2/export" "{\"folder\":\"$folder\"}"
    fact 'what was exported is not whole' verify_images "$(echo "$folder"/*vdb*)" "$(echo "$folder"/*vdc*)"
    rm -rf "$folder"
}

mount_and_unmount() {
    walk mount POST "/vms/one/points/$marked/mount" "{\"writable\":$1}"
    stands "$from" protected
    fact "the devices of the mounted point cannot be read, or are not whole" eventually 45 devices_are_whole
    walk unmount DELETE "/vms/one/mounts/$(vm_field one '.protection.mounts[0].name')"
    stands "$from" protected
    fact 'it is still mounted' [ "$(vm_field one '.protection.mounts | length')" = 0 ]
}

devices_are_whole() {
    local devices
    mapfile -t devices < <(vm_field one '.protection.mounts[0].devices[]')
    [ ${#devices[@]} = 3 ] && inside "$to" "$LAB_CACHE/guest/rec" verify "${devices[1]}" "${devices[2]}"
}

attach_and_detach() {
    given=$LAB_DESK
    domain_runs "$to" "$LAB_DESK" || inside "$to" virsh -q start "$LAB_DESK"
    eventually 60 guest_said "$to" "$LAB_DESK" '^READY '
    walk attach POST "/vms/one/points/$marked/attach" "{\"toVm\":\"$LAB_DESK\"}"
    stands "$from" protected
    case $victims in *guest-target*) ;; *) fact "$LAB_DESK has not been given three disks" [ "$(disks_of "$to" "$LAB_DESK" | wc -l)" = 6 ] ;; esac
    walk detach DELETE "/vms/one/mounts/$(vm_field one '.protection.mounts[0].name')"
    stands "$from" protected
    domain_runs "$to" "$LAB_DESK" || inside "$to" virsh -q start "$LAB_DESK"
    fact "$LAB_DESK still has disks of the point" [ "$(disks_of "$to" "$LAB_DESK" | wc -l)" = 3 ]
    given=
}

maintenance_at_source() {
    durable=$(record_at "$from")
    finish=/hosts/$from/maintenance/end
    walk 'maintenance of the source' POST "/hosts/$from/maintenance" '{"reason":"walk","shutdownLimit":"30s"}'
    arrives "$from" protected "$durable"
    eventually 20 ask POST "/hosts/$from/maintenance/end" '{}' >/dev/null || true
}

maintenance_at_target() {
    call 'maintenance of the target' POST "/hosts/$to/maintenance" '{"reason":"walk"}'
    fact 'the target is not in maintenance' [ "$(ask GET "/hosts/$to/maintenance" | jq -r .since)" != null ]
    stands "$from" protected
    call 'end of maintenance' POST "/hosts/$to/maintenance/end" '{}'
    fact 'the maintenance is not over' [ "$(ask GET "/hosts/$to/maintenance" | jq -r .since)" = null ]
    stands "$from" protected
}

try_out() {
    finish=/jobs/JOB/complete
    walk test POST /vms/one/test "{\"point\":\"$marked\"}"
    stands "$from" protected
    fact 'a test is left' [ "$(vm_field one '.protection.tests | length')" = 0 ]
}

promote() {
    local test
    test=$(ask POST /vms/one/test "{\"point\":\"$marked\"}" | jq .id)
    must_hold 'the test to promote does not start' eventually 60 job_rests "$test"
    walk promote POST /vms/one/promote "{$WORD}"
    arrives "$to" 'commit pending' "$durable"
}

planned() {
    walk 'planned failover' POST /vms/one/failover '{"unplanned":false,"shutdownLimit":"30s"}'
    arrives "$to" 'commit pending' "$(record_at "$from")"
}

unplanned() {
    walk 'unplanned failover' POST /vms/one/failover "{\"unplanned\":true,\"point\":\"latest\",$WORD}"
    arrives "$to" 'commit pending' "$durable"
}

unplanned_with_shutdown() {
    walk 'unplanned failover with shutdown' POST /vms/one/failover "{\"unplanned\":true,\"shutDownSource\":true,\"shutdownLimit\":\"30s\",$WORD}"
    arrives "$to" 'commit pending' "$durable"
}

change_point() {
    walk 'change of point' POST /vms/one/change-point "{\"point\":\"$marked\"}"
    arrives "$to" 'commit pending' "$durable"
}

# Home again, with every record the guest's own disks had when it left.
cancel() {
    local left
    left=$(record_at "$from")
    walk cancel POST /vms/one/cancel
    arrives "$from" protected "$left"
}

# delete_branches WHAT SITE STATE: by their names, while the VM stands there in that state.
delete_branches() {
    local branch
    for branch in $(branch_names one); do
        walk "$1" POST "/vms/one/branches/$branch/delete" "{\"confirm\":\"$branch\"}"
        stands "$2" "$3"
    done
    fact 'a branch is left' [ -z "$(branch_names one)" ]
}

# --- rounds -----------------------------------------------------------------------------------------------------------------

wanted() { [ "$again" = yes ] || is_wanted "$1"; }

# Over and home again in every way, and whatever else is done with a protected VM.
stay() {
    protect
    mark
    ! { wanted 'policy set' || wanted 'set policy'; } || settings
    ! { wanted pause || wanted resume; } || pause_and_resume
    ! { wanted 'exclude a disk' || wanted 'include a disk'; } || disks
    ! wanted resync || resync
    mark
    ! wanted 'export of a point' || export_to_folder 'export of a point' "$marked"
    ! { wanted mount || wanted unmount; } || mount_and_unmount "$([ $((RANDOM % 2)) = 0 ] && echo true || echo false)"
    ! { wanted attach || wanted detach; } || attach_and_detach
    ! { wanted 'maintenance of the target' || wanted 'end of maintenance'; } || maintenance_at_target
    ! wanted 'maintenance of the source' || maintenance_at_source
    ! wanted test || try_out

    planned
    cancel
    ! wanted 'export of a branch' || export_to_folder 'export of a branch' "$(branch_names one | head -n 1)"
    delete_branches 'delete a branch' "$from" protected
    mark
    ! wanted promote || { promote && cancel && mark; }
    ! wanted 'unplanned failover with shutdown' || { unplanned_with_shutdown && cancel && mark; }
    unplanned
    ! wanted 'change of point' || change_point
    cancel
    delete_branches 'delete a branch' "$from" protected
    walk unprotect POST /vms/one/unprotect
    stands "$from" unprotected
    nothing_is_left
}

# Over for good; the old disks are deleted by name, so the next round goes the other way.
move() {
    protect
    mark
    if wanted 'planned failover'; then planned; else unplanned; fi
    walk commit POST /vms/one/commit
    stands "$to" 'failed over'
    walk 'unprotect at the target' POST /vms/one/unprotect '{"keepAtTarget":true}'
    stands "$to" unprotected
    delete_branches 'delete the old disks' "$to" unprotected
    nothing_is_left
}
