# shellcheck shell=bash
# eng/lab/product.sh: builds Understudy and runs its parts in the lab: the vault in the hub, an agent on each site.
# Sourced by up.sh and demo.sh.

readonly LAB_PRODUCT=$LAB_DIR/product
readonly LAB_VAULT_URL=https://$LAB_VAULT_ADDRESS:8443
readonly LAB_VAULT_DATA=$LAB_DIR/vault
readonly LAB_AGENT_PORT=7443

# A copy of what was built, so that a build during the lab's life changes nothing under running processes.
build_product() {
    local log=$LAB_DIR/build.log
    dotnet build "$LAB_ROOT/src/Understudy" -c Release -v q --nologo >"$log" 2>&1 ||
        { tail -n 30 "$log" >&2; die 'the product does not build'; }
    rm -rf "$LAB_PRODUCT"
    cp -a "$LAB_ROOT/artifacts/bin/Understudy/release" "$LAB_PRODUCT"
}

# understudy WORDS...: a user's command, typed on the machine.
understudy() {
    UNDERSTUDY_VAULT=$LAB_VAULT_URL UNDERSTUDY_TOKEN_FILE=$LAB_VAULT_DATA/admin.token UNDERSTUDY_CA_FILE=$LAB_VAULT_DATA/ca.crt \
        "$LAB_PRODUCT/understudy" "$@"
}

# run_part PLACE NAME WORDS...: starts a part of Understudy that goes on running; NAME.log and NAME.pid are in the place's folder.
run_part() {
    local place=$1 name=$2 dir=$LAB_DIR/$1
    shift 2
    # The inner shell becomes the part, so its pid is the part's own.
    # shellcheck disable=SC2016  # expanded by the inner shell
    inside "$place" setsid --fork bash -c 'echo $$ >"$1"; shift; exec "$@"' part "$dir/$name.pid" "$LAB_PRODUCT/understudy" "$@" \
        </dev/null >>"$dir/$name.log" 2>&1
}

part_runs() {
    local pid
    pid=$(cat "$LAB_DIR/$1/$2.pid" 2>/dev/null) && grep -qF "$LAB_PRODUCT/understudy" "/proc/$pid/cmdline" 2>/dev/null
}

vault_answers() { understudy site list; }

start_vault() {
    part_runs hub vault || run_part hub vault server --data "$LAB_VAULT_DATA" --listen "$LAB_VAULT_ADDRESS:8443"
    wait_for 30 "the vault (see $LAB_DIR/hub/vault.log)" vault_answers
}

agent_data() { echo "$LAB_DIR/$1/understudy"; }

# Joins a site's host with a registration key of its own, as an administrator would; the agent goes on running.
join_site() {
    local site=$1 key=$LAB_DIR/$1.understudy-key data
    data=$(agent_data "$site")
    understudy site add "$site" >/dev/null
    understudy site key "$site" -o "$key" >/dev/null
    run_part "$site" agent agent --join "$key" --data "$data" --name "$site" \
        --listen "$(address_of "$site"):$LAB_AGENT_PORT" --advertise "$(address_of "$site"):$LAB_AGENT_PORT"
    wait_for 30 "the agent of $site (see $LAB_DIR/$site/agent.log)" host_is_online "$site"
    rm -f "$key"
}

start_agent() {
    local site=$1
    part_runs "$site" agent || run_part "$site" agent agent --data "$(agent_data "$site")"
    wait_for 30 "the agent of $site (see $LAB_DIR/$site/agent.log)" host_is_online "$site"
}

host_is_online() { [ "$(understudy host show "$1" --json | jq -r .online)" = true ]; }

# Vault, sites, agents, and the one network mapping that guests of both directions need.
start_product() {
    local site
    [ -x "$LAB_PRODUCT/understudy" ] || build_product
    start_vault
    for site in $LAB_SITES; do
        if [ -f "$(agent_data "$site")/agent.json" ]; then start_agent "$site"; else join_site "$site"; fi
    done
    understudy network map lan --to lan --from-site north --to-site south >/dev/null
}
