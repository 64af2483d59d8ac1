#!/usr/bin/env bash
# Removes a part of a cluster. Succeeds if the part does not exist, so that an incomplete cluster can be removed as well.
#
#   remove.sh host|volume|network|project
#
# Facts: DWI_PROJECT, and DWI_NAME of a host, volume or network.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"

if [[ -z $(command -v incus) ]]; then
  say "Incus is not installed, so there is nothing to remove"
  exit 0
fi
use_project default
bash "$HERE/engine.sh" start
exists incus project show "$DWI_PROJECT" || {
  [[ $1 == network ]] || exit 0
}
use_project "$DWI_PROJECT"

# The container that publishes two load balancers (publish.sh) does so until the first of them publishes the cluster by
# itself, and removes it (host.sh); if all hosts go, it goes with the network.
is_needed() {
  [[ -n $(incus config get "$1" user.made 2>/dev/null) && -n $(incus list --format csv --columns n '^load-balancer-1$') ]]
}

# One of two load balancers gives the visitors' address to the other one.
hand_over() {
  timeout 6 incus exec --force-noninteractive "$1" -- /opt/cluster/scripts/load-balancer/hand-over.sh begin \
    </dev/null >/dev/null 2>&1 || true
}

remove_host() {
  local attempt
  # A host that is still being created cannot be removed until that has finished.
  for attempt in {1..30}; do
    exists incus config show "$1" || return 0
    incus delete --force --quiet "$1" 2>/dev/null && return
    sleep "0.$attempt"
  done
  incus delete --force "$1"
}

# Removes what is left of a project that may not exist.
remove_hosts() {
  local name
  for name in $(incus list --format csv --columns n 2>/dev/null); do remove_host "$name"; done
}

remove_volume() {
  exists incus storage volume show "$POOL" "$1" || return 0
  incus storage volume delete --quiet "$POOL" "$1"
}

# The roles' profiles refer to the network, so they are removed first. The foundation creates them again from the profile
# of secrets, which is kept.
remove_network() {
  local name
  remove_hosts
  for name in $(incus profile list --format csv --columns n 2>/dev/null); do
    case $name in
      default | secrets) ;;
      *) incus profile delete --quiet "$name" ;;
    esac
  done
  INCUS_PROJECT=default exists incus network show "$1" || return 0
  INCUS_PROJECT=default incus network delete --quiet "$1"
}

# Also removes everything left in the project, for example by a deploy that was killed.
remove_project() {
  local name
  remove_hosts
  for name in $(incus storage volume list "$POOL" type=custom --format csv --columns n); do
    remove_volume "$name"
  done
  for name in $(incus profile list --format csv --columns n); do
    [[ $name == default ]] || incus profile delete --quiet "$name"
  done
  use_project default
  incus project delete --quiet "$DWI_PROJECT"
  rm -rf "${NOTES:?}/$DWI_PROJECT" "${SHARED:?}/$DWI_PROJECT"
}

case $1 in
  host)
    if is_needed "$DWI_NAME"; then exit 0; fi
    if [[ $DWI_NAME == load-balancer-* ]]; then hand_over "$DWI_NAME"; fi
    remove_host "$DWI_NAME"
    ;;
  volume) remove_volume "$DWI_NAME" ;;
  network) remove_network "$DWI_NAME" ;;
  project) remove_project ;;
  *) fail "unknown part: $1; there are host, volume, network, project" ;;
esac
