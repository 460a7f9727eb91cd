# shellcheck shell=bash disable=SC2034,SC2154  # shares its variables with walk.sh
# eng/lab/ask.sh: the vault asked without the command line, whose start costs more than most steps last: calls by curl, and
# what becomes of a job from the vault's own database, which can be read while the vault stands still or is dead. Sourced by
# walk.sh after observe.sh; what it defines anew means the same, faster.

# ask METHOD PATH [JSON]: the answer to one call of the API; fails when the vault does not answer it with success.
ask() {
    local body=()
    [ $# -lt 3 ] || body=(--header 'Content-Type: application/json' --data "$3")
    curl --silent --fail-with-body --max-time 60 --cacert "$LAB_VAULT_DATA/ca.crt" --request "$1" "${body[@]}" \
        --header "Authorization: Bearer $(cat "$LAB_VAULT_DATA/admin.token")" "$LAB_VAULT_URL/api/v1$2"
}

vault_answers() { ask GET /status; }
host_is_online() { [ "$(ask GET "/hosts/$1" | jq -r .online)" = true ]; }
vm_field() { ask GET "/vms/$1" | jq -r "$2"; }
points_of() { ask GET "/vms/$1/points"; }
branch_names() { ask GET "/vms/$1/branches" | jq -r '.[].name'; }
job() { ask GET "/jobs/$1"; }

# Words of the database, a line each, with spaces between; nothing when it cannot be read just now.
look() { sqlite3 -readonly -separator ' ' "$LAB_VAULT_DATA/vault.db" "$1" 2>/dev/null || true; }

newest_job() { look "select coalesce(max(Id), 0) from jobs"; }

# Number and state of the step a job is at (99 and none when all are done), then the job's own state and what it waits for.
where_is() {
    look "select coalesce(s.Number, 99), coalesce(s.State, 'none'), j.State, j.Wait from jobs j
        left join job_steps s on s.JobId = j.Id and s.State <> 'Succeeded' where j.Id = $1 order by s.Number limit 1"
}
job_has_ended() { [ -n "$(look "select 1 from jobs where Id = $1 and State in ('Succeeded', 'Failed', 'Cancelled')")" ]; }

# It has ended, or waits for a person.
job_rests() { job_has_ended "$1" || [ -n "$(look "select 1 from jobs where Id = $1 and State = 'Waiting' and Wait not in ('none', 'waiting for host')")" ]; }
job_is() { [ -n "$(look "select 1 from jobs where Id = $1 and State = '$2'")" ]; }
