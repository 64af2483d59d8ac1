#!/usr/bin/env bash
# Activates a release on this web server. If it does not become healthy, or does not stay healthy, rolls back to the
# previous one.
#
#   activate-release.sh SHA256 STEADY               it must stay healthy for STEADY seconds
#   activate-release.sh SHA256 STEADY --take-back   rolls back to it; the current release is forgotten
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh

# go_back RELEASE EARLIER: activates RELEASE again, with EARLIER as its previous release.
go_back() {
  start_release "$1"
  if [[ -n $2 && $2 != "$1" && -d $RELEASES/$2 ]]; then point "$PREVIOUS" "$2"; else rm --force "$PREVIOUS"; fi
  about "$1"
  proves_healthy "$start_timeout" 1
}

main() {
  local release=$1 steady=$2 before earlier reason="" answer="" start_timeout health_path health_host
  lock_releases
  install_release "$release"
  before=$(release_at "$CURRENT")
  earlier=$(release_at "$PREVIOUS")
  about "$release"
  if [[ ${3:-} == --take-back ]]; then
    go_back "$release" "" || fail "the previous release ${release:0:12} is not healthy either: $reason"
    remove_old_releases
    log "$HOST_NAME serves release ${release:0:12} again"
    return
  fi
  if { [[ $before == "$release" ]] && ! changed app "${SURROUNDINGS[@]}" && ask_health; } || start_release "$release"; then
    if proves_healthy "$start_timeout" "$steady"; then
      remove_old_releases
      log "$HOST_NAME serves release ${release:0:12}"
      return
    fi
  else
    reason="Nginx rejects its configuration"
  fi
  log "release ${release:0:12} is not healthy on $HOST_NAME: $reason"
  app_lines >&2
  if [[ $before == "$release" ]]; then before=$earlier earlier=""; fi
  [[ -n $before ]] || fail "there is no release to roll back to"
  go_back "$before" "$earlier" || fail "the previous release ${before:0:12} is not healthy either: $reason"
  fail "$HOST_NAME serves release ${before:0:12} again"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
