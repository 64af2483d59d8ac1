#!/usr/bin/env bash
# Fetches the app's database passwords, the certificate authority and the release, and starts the app. Fails until all of
# it is available; its unit retries.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh

authority=/etc/cluster/certificate-authority.pem

# Every database host publishes the certificate authority, authenticated by an HMAC with the app's password.
fetch_authority() {
  local address answer expected certificate password
  password=$(secret mysql-app-password)
  certificate=$(mktemp)
  # shellcheck disable=SC2064  # expand now
  trap "rm --force '$certificate'" EXIT
  for address in $DATABASE_HOSTS; do
    answer=$(curl --silent --fail --max-time 2 "http://$address:$DATABASE_HEALTH_PORT/certificate-authority") || continue
    expected=${answer%%|*}
    # An empty HMAC proves nothing.
    if base64 --decode <<<"${answer#*|}" >"$certificate" 2>/dev/null &&
      [[ -n $expected && $expected == "$(hmac_sha256 "$password" <"$certificate")" ]]; then
      install --mode=0644 "$certificate" "$authority"
      return
    fi
    log "ignoring the certificate authority from $address: its HMAC is not valid"
  done
  # One that was fetched earlier is still valid: it never changes during a cluster's life.
  [[ -s $authority ]] || fail "no database host has published the certificate authority yet"
}

main() {
  local releases
  lock_releases
  secret mysql-app-password >/dev/null
  secret mysql-read-password >/dev/null
  read -ra releases <<<"$(/opt/cluster/platform.sh release)"
  [[ -n ${releases[0]:-} ]] || fail "the platform has no release yet"
  install_release "${releases[0]}"
  fetch_authority
  if [[ $(release_at "$CURRENT") != "${releases[0]}" ]] || changed app "${SURROUNDINGS[@]}" ||
    ! systemctl --quiet is-active app.service; then
    start_release "${releases[0]}"
    remove_old_releases
    # The app may have been enabled just now.
    read_units app nginx haproxy "cluster-*"
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
