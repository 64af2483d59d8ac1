#!/usr/bin/env bash
# Brings one host to its declared state: makes it if it is not there, starts it if it does not run,
# and has it take over its user-data if it has another.
#
# Facts: DWI_PROJECT, DWI_HOST, DWI_ROLE; DWI_ADDRESS (address/prefix), DWI_GATEWAY; DWI_MEMORY in
# MiB; those that name the image (image.sh); DWI_USER_DATA, a file. For hosts that keep data DWI_VOLUME,
# the name of the volume to have at /srv/data. For one that is reached from outside DWI_LOCAL_PORT, on this
# machine's loopback, which leads to its DWI_PORT.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

LISTEN=tcp:127.0.0.1:${DWI_LOCAL_PORT:-}
CONNECT=tcp:127.0.0.1:${DWI_PORT:-}

# Long enough for a machine under load: five hosts need some 15 s on two idle cores.
BOOT_SECONDS=300

# What the host must carry, as one word. Its last successful boot or update notes it.
wanted() { sha256sum <"$DWI_USER_DATA" | head -c 16; }

setting() { incus config get "$DWI_HOST" "$1"; }
on_host() { incus exec --force-noninteractive "$DWI_HOST" -- "$@" </dev/null; }

make_volume() {
  [[ -n ${DWI_VOLUME:-} ]] || return 0
  exists incus storage volume show "$POOL" "$DWI_VOLUME" ||
    incus storage volume create --quiet "$POOL" "$DWI_VOLUME" user.distribution="$(host_distribution)"
}

# The distribution whose MySQL wrote to a volume; nothing where it is not known.
distribution_of_volume() {
  local distribution
  distribution=$(incus storage volume get "$POOL" "$1" user.distribution)
  printf '%s' "${distribution:-$(incus config get "$1" image.os 2>/dev/null || true)}"
}

# MySQL reads what its own series wrote, or an older one, and clones its own alone.
# https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-limitations.html
# https://dev.mysql.com/doc/refman/8.4/en/downgrading.html
check_distribution() {
  [[ -n ${DWI_VOLUME:-} ]] || return 0
  local distribution volume other
  distribution=$(host_distribution)
  while read -r volume; do
    other=$(distribution_of_volume "$volume")
    [[ -z $other || $other == "$distribution" ]] ||
      fail "host $DWI_HOST was not made: it would be of $distribution, and the data of $volume were written on $other" \
        "MySQL of the one neither reads nor copies what that of the other wrote" \
        "remedy: local.distribution: \"$other\"; to change it: destroy the cluster, deploy, restore the backup"
  done < <(incus storage volume list "$POOL" type=custom --format csv --columns n)
}

# Everything a host is made of goes in with its creation, so that one that exists is whole.
make_host() {
  {
    printf 'config:\n'
    printf '  limits.memory: %sMiB\n' "$DWI_MEMORY"
    # Where the machine is short of processors, what serves already comes before what boots.
    [[ $DWI_ROLE == database ]] || printf '  limits.cpu.allowance: "10%%"\n'
    printf '  user.address: %s\n  user.gateway: %s\n' "$DWI_ADDRESS" "$DWI_GATEWAY"
    printf '  user.nameserver: %s\n' "$(machine_nameserver)"
    printf '  user.carries-at-boot: "%s"\n' "$1"
    printf '  cloud-init.user-data: |\n'
    sed 's/^/    /' "$DWI_USER_DATA"
    printf 'devices:\n  root: { type: disk, path: /, pool: %s }\n' "$POOL"
    if [[ -n ${DWI_VOLUME:-} ]]; then
      printf '  data: { type: disk, pool: %s, source: %s, path: /srv/data }\n' "$POOL" "$DWI_VOLUME"
    fi
    if [[ -n ${DWI_LOCAL_PORT:-} ]]; then
      printf '  publication: { type: proxy, listen: "%s", connect: "%s" }\n' "$LISTEN" "$CONNECT"
    fi
  } | incus launch --quiet --profile "$DWI_ROLE" "$(image_alias)" "$DWI_HOST"
}

# What the engine says when something else listens there names no port.
check_port() {
  if [[ -n ${DWI_LOCAL_PORT:-} ]] && (: </dev/tcp/127.0.0.1/"$DWI_LOCAL_PORT") 2>/dev/null; then
    fail "port $DWI_LOCAL_PORT of 127.0.0.1 is taken" \
      "remedy: stop what listens there, or set another localPort in cluster.config.ts"
  fi
}

# The port may be another one than when the host was made.
publish() {
  [[ -n ${DWI_LOCAL_PORT:-} && $(incus config device get "$DWI_HOST" publication listen) != "$LISTEN" ]] || return 0
  check_port
  incus config device set "$DWI_HOST" publication listen="$LISTEN"
}

# A cluster serves when its databases do, and they take longest: where several hosts are to be made they
# are the first, and boot without the others. Then they still have a copy to make, which is mostly waiting.
let_databases_boot() {
  if [[ $DWI_ROLE == database ]]; then return; fi
  if ! flock --nonblock "$databases"; then
    say "$DWI_HOST: waits until the databases have booted"
    flock "$databases"
  fi
  flock --unlock "$databases"
}

# RUNNING or another; nothing where there is no such host.
state() { incus list --format csv --columns s "^$DWI_HOST\$"; }
running() { [[ $(state) == RUNNING ]]; }

# Ends the host's first boot: from now on it is as important as any other.
note_carries() {
  incus config set "$DWI_HOST" user.carries="$wanted" limits.cpu.allowance=""
}

# Waits for cloud-init; prints what went wrong in it, a line each.
wait_for_boot() {
  local deadline=$((SECONDS + BOOT_SECONDS))
  # It is started by the boot itself: this waits for it.
  until on_host sh -c 'timeout 20 systemctl start cloud-init.target
      exec jq -r ".v1.errors[]" /run/cloud-init/result.json' 2>/dev/null; do
    if ((SECONDS >= deadline)); then
      printf 'cloud-init is not done after %s s\n' "$BOOT_SECONDS"
      return
    fi
    sleep 0.2
  done
}

# The units that failed or keep failing. Of cloud-init's own only when there are no others: they
# fail because of something they ran.
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

# Ends with everything needed to see why a host is not well.
fail_with_diagnosis() {
  local unit units
  {
    printf 'error: host %s: %s\n' "$DWI_HOST" "$1"
    shift
    (($# == 0)) || printf '  %s\n' "$@"
    units=$(troubled_units)
    for unit in $units; do
      printf '  failed unit: %s; its last lines:\n' "$unit"
      last_lines --output cat --unit "$unit"
    done
    if [[ -z $units ]]; then
      printf '  no unit failed; the last lines of its log:\n'
      last_lines --output short-monotonic
    fi
    printf '  look inside: incus exec --project %s %s -- bash\n' "$DWI_PROJECT" "$DWI_HOST"
  } >&2
  exit 1
}

update() {
  local output
  say "$DWI_HOST: updating"
  # What failed before is no part of what may fail now.
  on_host systemctl reset-failed || true
  if ! output=$(on_host /opt/cluster/boot/boot.sh --if-changed 2>&1); then
    mapfile -t lines < <(tail -n 20 <<<"$output")
    fail_with_diagnosis "its update failed" "${lines[@]}"
  fi
  # Where the first boot failed there may have been nothing to update, and still all to be done.
  on_host systemctl start cluster-converge.service ||
    fail_with_diagnosis "it cannot be brought to its declared state"
}

begin_work "$DWI_HOST"
# Held by each database host until this script ends.
exec {databases}>"/run/lock/dwi-$DWI_PROJECT-databases"
if [[ $DWI_ROLE == database ]]; then flock --shared "$databases"; fi
state=$(state 2>/dev/null) || {
  bash "$HERE/engine.sh" start
  state=$(state)
}
wanted=$(wanted)

if [[ -n $state ]]; then
  publish
  incus config set "$DWI_HOST" limits.memory="${DWI_MEMORY}MiB"
  if [[ $(setting user.carries) == "$wanted" ]]; then
    running || incus start "$DWI_HOST"
    wait_for_boot >/dev/null
    note_carries
    end_work
    say "$DWI_HOST: up to date"
    exit 0
  fi
  # One that never finished its first boot and cannot update itself is made anew: what must be kept
  # is on its volume.
  if [[ -z $(setting user.carries) && $(setting user.carries-at-boot) != "$wanted" ]] &&
    ! { running && on_host test -x /opt/cluster/boot/boot.sh; }; then
    say "$DWI_HOST: removing what an earlier attempt left"
    incus delete --force "$DWI_HOST"
    state=""
  fi
fi

if [[ -n $state ]]; then
  incus config set "$DWI_HOST" cloud-init.user-data - <"$DWI_USER_DATA"
  running || incus start "$DWI_HOST"
  errors=$(wait_for_boot)
  if [[ -n $(setting user.carries) || $(setting user.carries-at-boot) != "$wanted" || -n $errors ]]; then
    update
  fi
else
  let_databases_boot
  check_distribution
  make_volume
  check_port
  make_host "$wanted"
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
