# shellcheck shell=bash disable=SC2034  # rpo, rto, lost and note are read by demo.sh
# eng/lab/steps-planned.sh: the demo's steps with guest two: over by plan, home by cancelling, over again, to an older point,
# and made final. Sourced by demo.sh.

# The newest record that both data disks of a domain that is off hold, by the checker outside the product.
records_on_disks() {
    local files
    mapfile -t files < <(disks_of "$1" "$2" --inactive)
    verify_images "${files[1]}" "${files[2]}" | jq .newest
}

boot_of_guest() { { serial_text "$1" "$2" || true; } | sed -n 's/^GUEST-UP .*boot=\([^ ]*\) .*/\1/p' | tail -n 1; }

# Succeeds when the guest has booted since BOOT and is ready.
guest_booted_since() { [ "$(boot_of_guest "$1" "$2")" != "$3" ] && guest_said "$1" "$2" '^READY '; }

# The names of a VM's branches, newest first.
branches_of() { vm_field "$1" '.branches // [] | sort_by(.createdAt) | reverse | .[].name'; }
branch_count() { branches_of "$1" | wc -l; }

# Seconds from the end of one step of the last job to the end of another, by the job's own clock.
between_steps() {
    jq -r --arg from "$1" --arg to "$2" 'def at($title): [.steps[] | select(.title | test($title)) |
            (.startedAt | sub("\\.[0-9]+.*"; "Z") | fromdate) + (.startedAt | capture("(?<f>\\.[0-9]+)").f | "0\(.)" | tonumber) + .durationSeconds][-1];
        (at($to) - at($from)) * 10 | round / 10' "$LAB_DIR/job.json"
}

# Guest two goes from north to south by plan; nothing may be lost, and north cannot start it any more.
fail_over_by_plan() {
    local begun source boot
    boot=$(boot_of_guest south two)
    begun=$EPOCHREALTIME
    understudy vm failover two --json >"$LAB_DIR/job.json"
    wait_for 60 'guest two to be ready on south' guest_booted_since south two "$boot"
    rto=$(seconds_since "$begun")
    must 'commit is pending' vm_state_is two 'commit pending'
    must 'guest two is off on north' domain_is_off north two
    source=$(records_on_disks north two)
    lost=$((source - $(verified_by_guest south two)))
    must "the guest verified all $source records that the source's disks hold" [ "$lost" = 0 ]
    rpo=0
    gap=$(between_steps '^shut the guest' '^start the VM')
}

# The source's start is refused, with the reason, however it is tried.
cannot_start_on_north() {
    local xml
    refused_on_north start two
    # shellcheck disable=SC2016
    xml=$(inside north virsh dumpxml --inactive two | sed -e 's/<name>two/<name>two-again/' -e '/<uuid>/d' -e '/<mac /d')
    refused_on_north create /dev/stdin <<<"$xml"
}


refused_on_north() {
    local said rc=0 own_log=$LAB_DIR/north/log/own-hook.log
    : >"$own_log"
    said=$(inside north virsh "$@" 2>&1) || rc=$?
    must "virsh $1 on north is refused" [ "$rc" != 0 ]
    must 'with a reason that names Understudy' grep -q Understudy <<<"$said"
    must "and the administrator's own hook was asked too" grep -q ' prepare$' "$own_log"
}

planned() {
    understudy vm protect two --to south --policy "every-${FREQUENCY}s" --json >"$LAB_DIR/job.json"
    wait_for 60 'two points of guest two' has_points two 2
    fail_over_by_plan
    cannot_start_on_north
    note="nothing lost; from guest stopped to guest started $gap s; north cannot start it, nor a renamed copy on its disks"
}

cancel() {
    local begun boot left
    wait_for 30 'guest two to write on south' guest_wrote_past south two "$(verified_by_guest south two)"
    left=$(records_on_disks north two)
    boot=$(boot_of_guest north two)
    begun=$EPOCHREALTIME
    understudy vm cancel two --json >"$LAB_DIR/job.json"
    took=$(seconds_since "$begun")
    wait_for 60 'guest two to be ready on north again' guest_booted_since north two "$boot"
    rto=$(seconds_since "$begun")
    must "it verified the $left records its disks held when it left" [ "$(verified_by_guest north two)" = "$left" ]
    must 'it is gone from south' domain_is_gone south two
    must 'guest two is protected as before' vm_state_is two protected
    must 'what ran on south is kept as a branch' [ "$(branch_count two)" = 1 ]
    note="$took s; what guest two wrote on south is a branch"
}

planned_again() {
    local before
    before=$(point_count two)
    wait_for $((3 * FREQUENCY)) 'a new point after the cancel' has_points two $((before + 1))
    must 'and replication went on with changes only' [ "$(vm_field two '.protection.cycles.failed')" = 0 ]
    fail_over_by_plan
    note="again nothing lost, $gap s from guest stopped to guest started"
}

change_point() {
    local point expected boot begun ran
    wait_for 30 'guest two to write on south' guest_wrote_past south two "$(verified_by_guest south two)"
    point=$(points_of two | jq -r '.[1].id')
    expected=$(verify_point two "$point" | jq .newest)
    boot=$(boot_of_guest south two)
    begun=$EPOCHREALTIME
    understudy vm change-point two --point "$point" --json >"$LAB_DIR/job.json"
    wait_for 60 'guest two to be ready at the older point' guest_booted_since south two "$boot"
    rto=$(seconds_since "$begun")
    must "it verified exactly that point's $expected records" [ "$(verified_by_guest south two)" = "$expected" ]
    must 'what ran before is a second branch' [ "$(branch_count two)" = 2 ]
    ran=$(verify_point two "$(branches_of two | head -n 1)" | jq .newest)
    must "which can be taken out and is whole: $ran records" is_less "$expected" "$ran"
    note="an older point runs instead; both branches can be taken out"
}

commit() {
    local pid lines branch file
    pid=$(qemu_pid_of south two)
    lines=$(serial_text south two | grep -ac '^REC ' || true)
    for branch in $(branches_of two); do
        understudy point delete two "$branch" --confirm "$branch" --json >"$LAB_DIR/job.json"
    done
    understudy vm commit two --json >"$LAB_DIR/job.json"
    must 'the guest was never stopped' [ "$(qemu_pid_of south two)" = "$pid" ]
    must 'guest two is failed over' vm_state_is two 'failed over'
    for file in $(disks_of south two); do
        must "$(basename "$file") is one ordinary qcow2 image" [ "$(qemu-img info -U --backing-chain --output json "$file" | jq -r 'map(.format) | join(" ")')" = qcow2 ]
    done
    refused_on_north start two
    lost=0
    note="slowest write during commit: $(slowest_write_ms south two $((lines + 1))) ms; north stays fenced"
}
