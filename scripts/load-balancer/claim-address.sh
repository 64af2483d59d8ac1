#!/usr/bin/env bash
# While this load balancer holds the visitors' address, makes sure that the platform sends visitors to it: as soon as it
# takes the address, and every three seconds from then on, since others may change what the platform does. A claim that
# fails is repeated, and the reason is in a file until one succeeds.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=pair.sh
source /opt/cluster/scripts/load-balancer/pair.sh

# Seconds between two claims.
PAUSE=3
FAILURE=$PAIR_RUN/failure

claim() {
  local said
  if said=$("/opt/cluster/scripts/load-balancer/address/$PLATFORM.sh" claim 2>&1); then
    rm --force "$FAILURE"
  else
    printf '%s\n' "${said##*$'\n'}" >"$FAILURE.new"
    mv --force "$FAILURE.new" "$FAILURE"
    log "$said"
    return 1
  fi
}

# await_change SECONDS: returns when addresses of this host have changed, or after that time.
await_change() {
  local _
  read -r -t "$1" -u "$changes" _ || true
}

main() {
  local changes
  mkdir --parents "$PAIR_RUN"
  exec {changes}< <(exec ip monitor address)
  while true; do
    if holds; then
      if claim; then await_change "$PAUSE"; else sleep 1; fi
    else
      rm --force "$FAILURE"
      await_change "$PAUSE"
    fi
  done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; exit; fi
