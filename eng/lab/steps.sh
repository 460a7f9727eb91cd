# shellcheck shell=bash disable=SC2034  # rpo, rto, lost and note are read by demo.sh
# eng/lab/steps.sh: the steps of `./lab demo`. Each is a function named after its step; it dies when anything is not as it
# must be, and sets rpo, rto (seconds), lost (records) and note for its line. Sourced by demo.sh.

readonly FREQUENCY=15        # seconds from one cut to the next
readonly CUT_SLACK=3         # how much later a cut may come on a busy machine

join() {
    local site vm
    start_product
    for site in $LAB_SITES; do
        must "the checks of host $site find no error" understudy host check "$site"
    done
    for vm in $LAB_GUESTS; do
        wait_for 20 "VM $vm to be discovered" vm_state_is "$vm" unprotected
        must "$vm is seen on north with three disks" [ "$(understudy vm show "$vm" --json | jq -r '"\(.host) \(.disks | length)"')" = 'north 3' ]
    done
    note='the vault, and an agent on each site, joined with a registration key of its own'
}

protect() {
    local rc=0
    wait_for 20 'guest one to have something to lose' guest_wrote_past north one 25
    understudy policy set "every-${FREQUENCY}s" --frequency "${FREQUENCY}s" --retention 1h --json >/dev/null
    must 'nothing stands in the way of protecting guest one' understudy vm verify one --to south --policy "every-${FREQUENCY}s"
    protect_job=$(understudy vm protect one --to south --policy "every-${FREQUENCY}s" --no-wait --json | jq .id)
    wait_for 30 'guest one to be under protection' vm_is_taken_up one
    understudy vm protect one --to south --json >"$LAB_DIR/refused.json" 2>&1 || rc=$?
    must 'protecting it twice is refused, with the reason' [ "$rc" = 3 ]
    note="guest one: north -> south, every $FREQUENCY s"
}

vm_is_taken_up() { [[ "$(vm_field "$1" .state)" =~ ^(preparing|first\ copy|protected)$ ]]; }

first_copy() {
    local verdict
    understudy job wait "$protect_job" --timeout 2min --json >"$LAB_DIR/job.json"
    wait_for 60 'the first recovery point' has_points one 1
    must 'guest one is protected' vm_state_is one protected
    rpo=$(vm_field one '.protection.rpoSeconds * 10 | round / 10')
    verdict=$(verify_point one "$(points_of one | jq -r '.[0].id')")
    must "the first point holds whole records up to $(field .newest "$verdict") (checker outside the product)" [ "$(field .newest "$verdict")" -gt 0 ]
    note='the first point is listed and proven'
}

cycles() {
    local older newer points gap
    wait_for $((6 * FREQUENCY)) 'four recovery points' has_points one 4
    points=$(points_of one)
    gap=$(jq '[.[].cutAt | sub("\\.[0-9]+"; "") | sub("\\+00:00$"; "Z") | fromdate] | [.[1:], .[:-1]] | transpose | map(.[0] - .[1]) | max' <<<"$points")
    must "cuts are at most $gap s apart" is_less "$gap" $((FREQUENCY + CUT_SLACK))
    must 'no cycle failed or was missed' [ "$(vm_field one '.protection.cycles | "\(.failed) \(.missed)"')" = '0 0' ]
    older=$(verify_point one "$(jq -r '.[2].id' <<<"$points")")
    newer=$(verify_point one "$(jq -r '.[3].id' <<<"$points")")
    must "an older point ($(field .newest "$older") records) and a newer one ($(field .newest "$newer")) are both whole" \
        is_less "$(field .newest "$older")" "$(field .newest "$newer")"
    rpo=$(difference "$(field .time "$newer")" "$(field .time "$older")")
    note="$(jq length <<<"$points") points; the guest's slowest write since it is protected: $(slowest_write_ms north one 3) ms"
}

# A failover tried out on an older point, while replication goes on.
test_older_point() {
    local point expected begun job json points_before network made_networks
    points_before=$(point_count one)
    point=$(points_of one | jq -r '.[1].id')
    expected=$(verify_point one "$point" | jq .newest)
    made_networks=$(inside south virsh -q net-list --all --name | sort)

    begun=$EPOCHREALTIME
    json=$(understudy vm test one --point "$point" --json)
    job=$(field .id "$json")
    started=$(seconds_since "$begun")
    must 'the job waits for its test to be completed' [ "$(field .wait "$json")" = 'waiting for test completion' ]
    wait_for 60 'the test guest to be ready' guest_said south one-test '^READY '
    rto=$(seconds_since "$begun")
    must "the test guest verified exactly the point's $expected records" [ "$(verified_by_guest south one-test)" = "$expected" ]
    network=$(networks_of_domain south one-test)
    must "its NIC is on a network made for it ($network)" [ "$network" != lan ]
    must 'which goes nowhere' network_is_isolated south "$network"
    must 'the source runs on' domain_runs north one

    wait_for $((3 * FREQUENCY)) 'a new point while the test runs' has_points one $((points_before + 1))
    must 'the point is untouched by what the test wrote' [ "$(verify_point one "$point" | jq .newest)" = "$expected" ]
    understudy job complete "$job" --note 'records verified by the guest' --json >"$LAB_DIR/job.json"
    must 'the test VM is gone' domain_is_gone south one-test
    must 'its network too' [ "$(inside south virsh -q net-list --all --name | sort)" = "$made_networks" ]
    must 'guest one is protected as before' vm_state_is one protected
    note="an older point ran in a bubble $started s after the command; replication went on"
}

# The source dies; the VM comes back from a point that was chosen, not the newest.
unplanned() {
    local begun point newest source chosen rc=0
    kill -KILL "$(qemu_pid_of north one)" "$(cat "$LAB_DIR/north/agent.pid")"
    say '    --  killed: QEMU of guest one and the agent on north'
    wait_for 20 'libvirt on north to see that guest one is gone' domain_is_off north one
    source=$(verify_images "$LAB_DIR/north/images/one-a.qcow2" "$LAB_DIR/north/images/one-b.qcow2")
    newest=$(verify_point one "$(points_of one | jq -r '.[-1].id')")
    point=$(points_of one | jq -r '.[-2].id')
    chosen=$(verify_point one "$point")

    understudy vm failover one --unplanned --point "$point" --confirm failover --json >"$LAB_DIR/refused.json" 2>&1 || rc=$?
    must 'the wrong confirmation word is refused' [ "$rc" = 3 ]
    begun=$EPOCHREALTIME
    understudy vm failover one --unplanned --point "$point" --confirm FAILOVER --json >"$LAB_DIR/job.json"
    started=$(seconds_since "$begun")
    wait_for 60 'guest one to be ready on south' guest_said south one '^READY '
    rto=$(seconds_since "$begun")
    must "the guest verified exactly the point's $(field .newest "$chosen") records" [ "$(verified_by_guest south one)" = "$(field .newest "$chosen")" ]
    must 'commit is pending' vm_state_is one 'commit pending'
    must 'its NIC is on the mapped network' [ "$(networks_of_domain south one)" = lan ]
    wait_for 20 'guest one to get an address on lan' guest_said south one '^PING-OK '

    failed_over_from=$(field .newest "$chosen")
    lost=$(($(field .newest "$source") - failed_over_from))
    rpo=$(difference "$(field .time "$source")" "$(field .time "$chosen")")
    must 'what is lost is what was written after the chosen point, and no more' is_less "$rpo" $((2 * (FREQUENCY + CUT_SLACK)))
    note="the point before the newest was chosen; the newest would have lost $(($(field .newest "$source") - $(field .newest "$newest"))) records, $(difference "$(field .time "$source")" "$(field .time "$newest")") s; QEMU ran $started s after the command"
}

# Commit while the guest runs; then Understudy lets go of it.
commit_unplanned() {
    local pid lines before file boots verdict old
    pid=$(qemu_pid_of south one)
    lines=$(serial_text south one | grep -ac '^REC ' || true)
    before=$(newest_record_of_guest south one)
    understudy vm commit one --json >"$LAB_DIR/job.json"
    must 'the guest was never stopped' [ "$(qemu_pid_of south one)" = "$pid" ]
    wait_for 20 'the guest to write on after commit' guest_wrote_past south one "$before"
    note="slowest write during commit: $(slowest_write_ms south one $((lines + 1))) ms"
    for file in $(disks_of south one); do
        must "$(basename "$file") is one ordinary qcow2 image" [ "$(qemu-img info -U --backing-chain --output json "$file" | jq -r 'map(.format) | join(" ")')" = qcow2 ]
    done
    must 'the stored definition names the same images' [ "$(disks_of south one --inactive)" = "$(disks_of south one)" ]

    start_agent north   # its host is back; what is ours there has to go as well
    understudy vm unprotect one --keep-at-target --json >"$LAB_DIR/job.json"
    must 'guest one is unprotected' vm_state_is one unprotected
    must 'the guest runs on' domain_runs south one
    must 'nothing of ours is left on south' leaves_nothing south one
    must 'the old source is blocked and listed' [ "$(branch_names one | wc -l)" = 1 ]
    old=$(branch_names one)
    understudy point delete one "$old" --confirm "$old" --json >"$LAB_DIR/job.json"
    must 'deleted by its name it is gone' domain_is_gone north one
    must 'nothing of ours is left on north' leaves_nothing north one

    inside south virsh -q shutdown one >/dev/null
    wait_for 30 'guest one to shut down' domain_is_off south one
    mapfile -t files < <(disks_of south one --inactive)
    verdict=$(verify_images "${files[1]}" "${files[2]}")
    boots=$(jq -c '.boots[-1] | [.first, .last]' <<<"$verdict")
    must 'one boot wrote everything since the failover: the guest never restarted' \
        [ "$boots" = "[$((failed_over_from + 1)),$(field .newest "$verdict")]" ]
    lost=0
    note+="; the VM stands on ordinary images, $(field .newest "$verdict") records whole"
}
