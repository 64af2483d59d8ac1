#!/usr/bin/env bash
# Brings the host to its declared state: at every boot, and once a minute when what it is to carry
# has changed.
#
#   boot.sh                whatever there is to do
#   boot.sh --if-changed   nothing, unless the host's newest user-data is another than it last took
#                          over whole
#
# Together with the platform interface this is all a host knows before its packages and its scripts
# are there. It never waits for another host: units that retry do.
set -euo pipefail

BOOT=/opt/cluster/boot
STATE=/var/lib/cluster
# The user-data whose files are on the disk, and the one that was taken over whole.
WRITTEN=$STATE/user-data.written
TAKEN=$STATE/user-data
# The one that the platform has now.
NEWEST=$STATE/user-data.newest

log() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# What the host was made with. EC2 is given it compressed; locally it may have lost its last line
# break on the way.
first_user_data() {
  printf '%s\n' "$(gzip --decompress --stdout --force </var/lib/cloud/instance/user-data.txt)"
}

# nothing listens before the firewall stands.
load_firewall() {
  if [[ -n $(command -v nft) ]]; then
    nft --file /etc/nftables.conf
  fi
}

# take_over FILE: writes the files of a user-data, with cloud-init's own module.
take_over() {
  log "taking over changed user-data"
  # From now on, and until it got through, the one before is not what is here: it may come back.
  rm --force "$TAKEN"
  : >"$WRITTEN"
  cloud-init single --name write_files --frequency always --file "$1" >&2
  systemctl daemon-reload
  mv "$1" "$WRITTEN"
}

# The one before stays: something that was started from it may still run.
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
  local packages lacking=0
  # A boot and a change may meet.
  exec 8>/run/cluster-boot.lock
  flock 8
  # Only now: whoever held the lock before may have replaced the facts.
  # shellcheck source=/dev/null
  source /etc/cluster/host.env
  mkdir --parents "$STATE"
  if [[ ! -e $WRITTEN ]]; then
    first_user_data >"$WRITTEN.new"
    mv "$WRITTEN.new" "$WRITTEN"
  fi
  load_firewall
  # Before all that may fail: through it an operator sees why.
  /opt/cluster/platform.sh operator-access || log "operators may not reach this host"
  # shellcheck disable=SC2153  # a fact
  read -ra packages <<<"$PACKAGES"
  # What is not to be had fails only later: a newer user-data may do without it.
  /opt/cluster/platform.sh install-packages "${packages[@]}" || lacking=$?

  trap 'rm --force "$NEWEST"' EXIT
  if /opt/cluster/platform.sh user-data "$NEWEST"; then
    if [[ ${1:-} == --if-changed ]] && cmp --silent "$NEWEST" "$TAKEN"; then
      return "$lacking"
    fi
    if ! cmp --silent "$NEWEST" "$WRITTEN"; then
      take_over "$NEWEST"
      # With the facts, the packages and the script of the new one.
      exec "$0" "$@"
    fi
  elif [[ ${1:-} == --if-changed ]]; then
    return 1
  else
    log "the newest user-data is out of reach; going on with what is here"
  fi

  ((lacking == 0)) || return "$lacking"
  # Packages may have brought the program only now.
  load_firewall
  install_scripts
  /opt/cluster/scripts/host/converge.sh
  # Only what was taken over whole counts as taken: what was interrupted starts again.
  cp "$WRITTEN" "$TAKEN.new"
  mv "$TAKEN.new" "$TAKEN"
  log "$HOST_NAME is at its declared state"
}

# bash has read this line to its end before it begins: the file may be written anew while it runs.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
