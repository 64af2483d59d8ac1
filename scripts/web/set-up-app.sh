#!/usr/bin/env bash
# Fetches the app's database passwords, the certificate authority and the release, and starts the app. Fails until all of
# it is available; its unit retries.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh
# shellcheck source=secrets.sh
source /opt/cluster/scripts/web/secrets.sh

main() {
  local releases
  lock_releases
  hand_over_passwords
  read -ra releases <<<"$(/opt/cluster/platform.sh release)"
  [[ -n ${releases[0]:-} ]] || fail "the platform has no release yet"
  install_release "${releases[0]}"
  # One that was fetched earlier is most likely still valid: a rotation updates every web server that runs.
  fetch_authority || [[ -s $AUTHORITY ]] || fail "no database host has published the certificate authority yet"
  if [[ $(release_at "$CURRENT") != "${releases[0]}" ]] || changed app "${SURROUNDINGS[@]}" ||
    ! systemctl --quiet is-active app.service; then
    start_release "${releases[0]}"
    remove_old_releases
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
