#!/usr/bin/env bash
# Fetches what the app needs and starts it: the database password, the certificate authority, the
# release. Fails until all of it is there; its unit tries again.
# shellcheck source=../host/lib.sh
source /opt/cluster/host/lib.sh

authority=/etc/cluster/certificate-authority.pem
release=/srv/app/releases/$APP_RELEASE
current=/srv/app/current

# Any database host tells the certificate authority; that it holds the app's password too is what
# makes its word good.
fetch_authority() {
  local address answer expected certificate password
  password=$(secret mysql-app-password)
  certificate=$(mktemp)
  # shellcheck disable=SC2064  # the name is wanted as it is now
  trap "rm --force '$certificate'" EXIT
  for address in $DATABASE_HOSTS; do
    answer=$(curl --silent --fail --max-time 2 "http://$address:8008/certificate-authority") || continue
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

fetch_release() {
  local archive unpacked
  [[ ! -d $release ]] || return 0
  mkdir --parents /srv/app/releases
  rm --recursive --force /srv/app/releases/*.partial
  archive=$(mktemp /srv/app/releases/XXXXXX.partial)
  unpacked=$(mktemp --directory /srv/app/releases/XXXXXX.partial)
  /opt/cluster/platform.sh release "$APP_RELEASE" "$archive"
  sha256sum --check --status <<<"$APP_RELEASE  $archive" ||
    fail "the release that arrived is not $APP_RELEASE"
  tar --extract --gzip --no-same-owner --file "$archive" --directory "$unpacked"
  chmod --recursive u=rwX,go=rX "$unpacked"
  mv "$unpacked" "$release"
  rm --force "$archive"
}

start_app() {
  ln --symbolic --force --no-dereference "$release" "$current.new"
  mv --force --no-target-directory "$current.new" "$current"
  systemctl enable --quiet app.service
  local determining=(/etc/systemd/system/app.service /etc/cluster/app.env "$authority")
  if changed "app-$APP_RELEASE" "${determining[@]}" || ! systemctl --quiet is-active app.service; then
    systemctl restart app.service
    rm --force /var/lib/cluster/stamps/app-*
    mark "app-$APP_RELEASE" "${determining[@]}"
  fi
}

main() {
  # Two at once would fetch into each other's way.
  exec 7>/run/cluster-set-up-app.lock
  flock 7
  secret mysql-app-password >/dev/null
  fetch_release
  fetch_authority
  start_app
}

# The file may be replaced while it runs; bash has read it to the end by then.
main
exit
