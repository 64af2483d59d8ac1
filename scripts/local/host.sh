#!/usr/bin/env bash
# Brings one host to its declared state: creates it if it does not exist, starts it if it is stopped, and applies its
# user-data if that has changed.
#
# Facts: DWI_PROJECT, DWI_HOST, DWI_ROLE; DWI_ADDRESS (address/prefix), DWI_GATEWAY; DWI_MEMORY in MiB; those that
# identify the image (image.sh); DWI_USER_DATA, a file. For a host with data DWI_VOLUME, the volume to mount at /srv/data.
# For a host that publishes the cluster on this machine DWI_PUBLISHED (publication.sh). DWI_ENTRANCE, the container that publishes the cluster instead if there are two load balancers (publish.sh).

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

# shellcheck source=scripts/local/publication.sh
source "$HERE/publication.sh"

# Sufficient for a machine under load: five hosts take about 15 s on two idle cores.
BOOT_SECONDS=300

# A hash of the host's user-data. After a successful boot or update it is recorded in user.carries.
user_data_hash() { sha256sum <"$DWI_USER_DATA" | head -c 16; }

setting() { incus config get "$DWI_HOST" "$1"; }
on_host() { incus exec --force-noninteractive "$DWI_HOST" -- "$@" </dev/null; }

make_volume() {
  [[ -n ${DWI_VOLUME:-} ]] || return 0
  exists incus storage volume show "$POOL" "$DWI_VOLUME" ||
    incus storage volume create --quiet "$POOL" "$DWI_VOLUME" user.distribution="$(host_distribution)"
}

# distribution_of_volume VOLUME: prints the distribution whose MySQL wrote to a volume, or nothing if it is not known.
distribution_of_volume() {
  local distribution
  distribution=$(incus storage volume get "$POOL" "$1" user.distribution)
  printf '%s' "${distribution:-$(incus config get "$1" image.os 2>/dev/null || true)}"
}

# MySQL reads data of its own series or of the previous one, and clones only within its own series.
# https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-limitations.html
# https://dev.mysql.com/doc/refman/8.4/en/downgrading.html
check_distribution() {
  [[ $DWI_ROLE == database ]] || return 0
  local distribution volume other
  distribution=$(host_distribution)
  while read -r volume; do
    [[ $volume == database-* ]] || continue
    other=$(distribution_of_volume "$volume")
    [[ -z $other || $other == "$distribution" ]] ||
      fail "host $DWI_HOST was not created: it would run $distribution, but the data of $volume was written on $other" \
        "MySQL of one distribution can neither read nor clone data of the other's" \
        "remedy: local.distribution: \"$other\"; to change it, destroy the cluster, deploy, and restore the backup"
  done < <(incus storage volume list "$POOL" type=custom --format csv --columns n)
}

# is_deployed: whether some host of the cluster has booted or been updated before.
is_deployed() { [[ -n $(incus list --format csv --columns user.carries | tr --delete '\n",') ]]; }

# Creates the host with its complete configuration in one step, so that an existing host is never incomplete.
make_host() {
  {
    printf 'config:\n'
    printf '  limits.memory: %sMiB\n' "$DWI_MEMORY"
    # If processors are contended, hosts that already serve take precedence over one that boots.
    if [[ $DWI_ROLE != database ]] || is_deployed; then printf '  limits.cpu.allowance: "10%%"\n'; fi
    printf '  user.address: %s\n  user.gateway: %s\n' "$DWI_ADDRESS" "$DWI_GATEWAY"
    printf '  user.nameserver: %s\n' "$(machine_nameserver)"
    printf '  user.carries-at-boot: "%s"\n' "$1"
    printf '  cloud-init.user-data: |\n'
    sed 's/^/    /' "$DWI_USER_DATA"
    printf 'devices:\n  root: { type: disk, path: /, pool: %s }\n' "$POOL"
    if [[ -n ${DWI_VOLUME:-} ]]; then
      printf '  data: { type: disk, pool: %s, source: %s, path: /srv/data }\n' "$POOL" "$DWI_VOLUME"
    fi
    devices | while read -r name listen connect; do
      printf '  %s: { type: proxy, listen: "%s", connect: "%s" }\n' "$name" "$listen" "$connect"
    done
  } | incus launch --quiet --profile "$DWI_ROLE" "$(image_alias)" "$DWI_HOST"
}

# Applies changed local ports, and publishes the cluster by a load balancer that is no longer one of two.
publish_host() {
  [[ -n ${DWI_PUBLISHED:-} ]] || return 0
  publish "$DWI_ENTRANCE"
  if exists incus config show "$DWI_ENTRANCE"; then incus delete --force --quiet "$DWI_ENTRANCE"; fi
}

# Databases take longest, and the cluster serves only when they do. So if several hosts are to be created or updated, the
# others wait until the databases are ready; the replicas' clone, which follows, needs little processor time.
let_databases_go_first() {
  if [[ $DWI_ROLE == database ]]; then return; fi
  if ! flock --nonblock "$databases"; then
    say "$DWI_HOST: waits until the databases are ready"
    flock "$databases"
  fi
  flock --unlock "$databases"
}

# The agent of a primary restarts when the host is updated, and writes go on only if it is back within its lease. Where the
# hosts share processors, it would not be if all of them were updated at once: database hosts are, one after the other.
take_turns() {
  let_databases_go_first
  if [[ $DWI_ROLE == database ]]; then hold_lock "$DWI_PROJECT-database-update"; fi
}

# Prints RUNNING or another state, or nothing if the host does not exist.
state() { incus list --format csv --columns s "^$DWI_HOST\$"; }
running() { [[ $(state) == RUNNING ]]; }

# Records that the host has applied its user-data, and ends the low processor priority of its first boot.
note_carries() {
  incus config set "$DWI_HOST" user.carries="$hash" limits.cpu.allowance=""
}

# Waits until cloud-init has finished; prints its errors, one line each.
wait_for_boot() {
  local deadline=$((SECONDS + BOOT_SECONDS))
  # The boot itself starts this target; starting it again only waits for it.
  until on_host sh -c 'timeout 20 systemctl start cloud-init.target
      exec jq -r ".v1.errors[]" /run/cloud-init/result.json' 2>/dev/null; do
    if ((SECONDS >= deadline)); then
      printf 'cloud-init has not finished within %s s\n' "$BOOT_SECONDS"
      return
    fi
    sleep 0.2
  done
}

# Prints the units that failed or keep failing. Those of cloud-init only if there are no others: they fail because of a
# program that they ran.
troubled_units() {
  local units
  units=$(on_host systemctl list-units --type service --state failed,auto-restart --plain --no-legend \
    2>/dev/null | awk '{ print $1 }')
  grep -v '^cloud-' <<<"$units" || printf '%s\n' "$units"
}

last_lines() {
  on_host journalctl --no-pager --lines 40 "$@" 2>/dev/null |
    grep -v 'Failed to read pids.max' | tail -n 20 | sed 's/^/    /'
}

# fail_with_diagnosis REASON [LINE]...: fails, with the failed units and the ends of their logs.
fail_with_diagnosis() {
  local unit units
  {
    printf 'error: host %s: %s\n' "$DWI_HOST" "$1"
    shift
    (($# == 0)) || printf '  %s\n' "$@"
    units=$(troubled_units)
    for unit in $units; do
      printf '  failed unit: %s; the end of its log:\n' "$unit"
      last_lines --output cat --unit "$unit"
    done
    if [[ -z $units ]]; then
      printf '  no unit failed; the end of its log:\n'
      last_lines --output short-monotonic
    fi
    printf '  open a shell: sudo incus exec --project %s %s -- bash\n' "$DWI_PROJECT" "$DWI_HOST"
  } >&2
  exit 1
}

update() {
  local output
  take_turns
  say "$DWI_HOST: updating"
  # Earlier failures must not appear in the diagnosis.
  on_host systemctl reset-failed || true
  if ! output=$(on_host /opt/cluster/boot/boot.sh --if-changed 2>&1); then
    mapfile -t lines < <(tail -n 20 <<<"$output")
    fail_with_diagnosis "its update failed" "${lines[@]}"
  fi
  # If the first boot failed, the user-data may be unchanged and yet not be applied.
  on_host systemctl start cluster-converge.service ||
    fail_with_diagnosis "it does not converge to its declared state"
}

begin_work "$DWI_HOST"
# Held by each database host until this script ends.
exec {databases}>"/run/lock/dwi-$DWI_PROJECT-databases"
if [[ $DWI_ROLE == database ]]; then flock --shared "$databases"; fi
state=$(state 2>/dev/null) || {
  bash "$HERE/engine.sh" start
  state=$(state)
}
hash=$(user_data_hash)

if [[ -n $state ]]; then
  publish_host
  incus config set "$DWI_HOST" limits.memory="${DWI_MEMORY}MiB"
  if [[ $(setting user.carries) == "$hash" ]]; then
    running || incus start "$DWI_HOST"
    wait_for_boot >/dev/null
    note_carries
    end_work
    say "$DWI_HOST: up to date"
    exit 0
  fi
  # A host that never finished its first boot, and cannot update itself, is created again: its data is on its volume.
  if [[ -z $(setting user.carries) && $(setting user.carries-at-boot) != "$hash" ]] &&
    ! { running && on_host test -x /opt/cluster/boot/boot.sh; }; then
    say "$DWI_HOST: removing the incomplete host of an earlier attempt"
    incus delete --force "$DWI_HOST"
    state=""
  fi
fi

if [[ -n $state ]]; then
  incus config set "$DWI_HOST" cloud-init.user-data - <"$DWI_USER_DATA"
  running || incus start "$DWI_HOST"
  errors=$(wait_for_boot)
  if [[ -n $(setting user.carries) || $(setting user.carries-at-boot) != "$hash" || -n $errors ]]; then
    update
  fi
else
  let_databases_go_first
  check_distribution
  make_volume
  for port in "${LOCAL_PORTS[@]}"; do check_port "$port"; done
  make_host "$hash"
  say "$DWI_HOST: started"
  errors=$(wait_for_boot)
  if [[ -n $errors ]]; then
    mapfile -t lines <<<"$errors"
    fail_with_diagnosis "its first boot failed" "${lines[@]}"
  fi
fi
note_carries
end_work
say "$DWI_HOST: ready"
