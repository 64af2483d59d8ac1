#!/usr/bin/env bash
# Makes a release the one that serves on this web server. One that does not become healthy is taken
# back, and the one before serves again.
#
#   activate-release.sh SHA256
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh

# How long an app may take to start.
PATIENCE=30

main() {
  local release=$1 before
  lock_releases
  install_release "$release"
  if [[ $(release_at "$CURRENT") == "$release" ]] && becomes_healthy 0; then
    log "$HOST_NAME serves release ${release:0:12} already"
    return
  fi
  if start_release "$release" && becomes_healthy "$PATIENCE"; then
    remove_old_releases
    log "$HOST_NAME serves release ${release:0:12}"
    return
  fi
  log "release ${release:0:12} does not become healthy on $HOST_NAME; the last lines of the app:"
  journalctl --unit app.service --lines 10 --output cat --no-pager >&2
  before=$(release_at "$PREVIOUS")
  if [[ -z $before || $before == "$release" ]]; then fail "there is no release to go back to"; fi
  start_release "$before"
  becomes_healthy "$PATIENCE" || fail "nor does release ${before:0:12}, which served before"
  fail "$HOST_NAME serves release ${before:0:12} again"
}

main "$@"
exit
