#!/usr/bin/env bash
# Converges the host to its declared state: at every boot, and whenever its user-data has changed, which is checked once a
# minute.
#
#   boot.sh                converges
#   boot.sh --if-changed   does nothing unless the newest user-data differs from the last that was completely applied
#
# Besides the platform interface, this is all that a host has before its packages and scripts are installed. It never waits
# for another host: units that retry do.
set -euo pipefail

BOOT=/opt/cluster/boot
STATE=/var/lib/cluster
# The user-data whose files have been written, and the last one that was completely applied.
WRITTEN=$STATE/user-data.written
TAKEN=$STATE/user-data
# The newest one, from the platform.
NEWEST=$STATE/user-data.newest

log() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# Prints the user-data that the host was created with. On EC2 it is compressed; locally its last line break may be missing.
first_user_data() {
  printf '%s\n' "$(gzip --decompress --stdout --force </var/lib/cloud/instance/user-data.txt)"
}

# Runs before any service listens.
load_firewall() {
  if [[ -n $(command -v nft) ]]; then
    nft --file /etc/nftables.conf
  fi
}

# take_over FILE: writes the files of changed user-data, with cloud-init's own module.
take_over() {
  log "applying changed user-data"
  # Until this is completely applied, neither is the previous one: the change may be reverted.
  rm --force "$TAKEN"
  : >"$WRITTEN"
  cloud-init single --name write_files --frequency always --file "$1" >&2
  systemctl daemon-reload
  mv "$1" "$WRITTEN"
}

# Keeps the previous archive: programs that were started from it may still run.
install_scripts() {
  local before directory=/opt/cluster/archives/$SCRIPTS link=/opt/cluster/scripts other
  "$BOOT/fetch-archive.sh" scripts "$SCRIPTS" "$directory"
  before=$(readlink "$link" || true)
  if [[ $before == "$directory" ]]; then return; fi
  ln --symbolic --force --no-dereference "$directory" "$link.new"
  mv --force --no-target-directory "$link.new" "$link"
  for other in /opt/cluster/archives/*; do
    [[ $other == "$directory" || $other == "$before" ]] || rm --recursive --force "$other"
  done
}

main() {
  local packages expected lacking=0
  # A boot and an update may run at the same time.
  exec 8>/run/cluster-boot.lock
  flock 8
  # Not before the lock is held: its previous holder may have replaced the facts.
  # shellcheck source=/dev/null
  source /etc/cluster/host.env
  mkdir --parents "$STATE"
  if [[ ! -e $WRITTEN ]]; then
    first_user_data >"$WRITTEN.new"
    mv "$WRITTEN.new" "$WRITTEN"
  fi
  load_firewall
  # Before anything that may fail, so that an operator can find out why.
  /opt/cluster/platform.sh operator-access || log "operator access could not be set up: operators may not reach this host"
  # shellcheck disable=SC2153  # a fact
  read -ra packages <<<"$PACKAGES"
  # A failure counts only later: newer user-data may not need the missing package.
  /opt/cluster/platform.sh install-packages "${packages[@]}" || lacking=$?

  trap 'rm --force "$NEWEST"' EXIT
  if /opt/cluster/platform.sh user-data "$NEWEST"; then
    if [[ ${1:-} == --if-changed ]] && cmp --silent "$NEWEST" "$TAKEN"; then
      return "$lacking"
    fi
    if ! cmp --silent "$NEWEST" "$WRITTEN"; then
      take_over "$NEWEST"
      # Start over, with the new facts, packages and script.
      exec "$0" "$@"
    fi
  elif [[ ${1:-} == --if-changed ]]; then
    return 1
  else
    log "the newest user-data could not be fetched; continuing with the current one"
  fi

  ((lacking == 0)) || return "$lacking"
  # nft may have been installed only now.
  load_firewall
  install_scripts
  /opt/cluster/scripts/host/converge.sh
  # Recorded last, so that an interrupted update starts over.
  cp "$WRITTEN" "$TAKEN.new"
  mv "$TAKEN.new" "$TAKEN"
  log "$HOST_NAME has converged to its declared state"
  # Last: nothing waits for these, and nothing fails without them.
  read -ra expected <<<"$EXPECTED_PACKAGES"
  /opt/cluster/platform.sh install-packages "${expected[@]}" || log "going on without the packages that are missing"
}

# On one line, which bash reads completely before it runs main: the file may be replaced meanwhile.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
