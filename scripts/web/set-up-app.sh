#!/usr/bin/env bash
# Fetches what the app needs and starts it: the database password, the certificate authority, the
# release. Fails until all of it is there; its unit tries again.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh

authority=/etc/cluster/certificate-authority.pem

# Any database host tells the certificate authority; that it holds the app's password too is what
# makes its word good.
fetch_authority() {
  local address answer expected certificate password
  password=$(secret mysql-app-password)
  certificate=$(mktemp)
  # shellcheck disable=SC2064  # the name is wanted as it is now
  trap "rm --force '$certificate'" EXIT
  for address in $DATABASE_HOSTS; do
    answer=$(curl --silent --fail --max-time 2 "http://$address:$DATABASE_HEALTH_PORT/certificate-authority") || continue
    expected=${answer%%|*}
    # Without an answer to compare with there is no proof.
    if base64 --decode <<<"${answer#*|}" >"$certificate" 2>/dev/null &&
      [[ -n $expected && $expected == "$(hmac_sha256 "$password" <"$certificate")" ]]; then
      install --mode=0644 "$certificate" "$authority"
      return
    fi
    log "$address told a certificate authority that does not prove to be the cluster's; left aside"
  done
  # Known from an earlier time is enough: it does not change in a cluster's life.
  [[ -s $authority ]] || fail "no database host tells the certificate authority yet"
}

main() {
  local releases
  lock_releases
  secret mysql-app-password >/dev/null
  secret mysql-read-password >/dev/null
  read -ra releases <<<"$(/opt/cluster/platform.sh release)"
  [[ -n ${releases[0]:-} ]] || fail "the platform names no release"
  install_release "${releases[0]}"
  fetch_authority
  if [[ $(release_at "$CURRENT") != "${releases[0]}" ]] || changed app "${SURROUNDINGS[@]}" ||
    ! systemctl --quiet is-active app.service; then
    start_release "${releases[0]}"
    remove_old_releases
    # The app has been enabled meanwhile.
    read_units app nginx haproxy "cluster-*"
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
