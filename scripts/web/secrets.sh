# shellcheck shell=bash
# What the app gets from other hosts and from the platform: its passwords, and the certificate authorities of the database.
# The app reads passwords in a folder that systemd mounts for it alone (app.service): each is replaced in one step, and the
# app finds the new one when it next opens the file.

APP_SECRETS=$SECRETS/app
AUTHORITY=/etc/cluster/certificate-authority.pem

# hand_over_password NAME FILE: to the app.
hand_over_password() {
  local value phase other
  read_secret "$1"
  install --directory --mode=0755 "$APP_SECRETS"
  (
    umask 0222
    printf '%s' "$value" >"$APP_SECRETS/$2.new"
  )
  mv --force "$APP_SECRETS/$2.new" "$APP_SECRETS/$2"
}

hand_over_passwords() {
  hand_over_password mysql-app-password database-password
  hand_over_password mysql-read-password database-read-password
}

# fetch_authority: every database host publishes its authorities, authenticated by an HMAC with the app's password. Fails if
# none does.
fetch_authority() {
  # shellcheck disable=SC2034 # read_secret sets them
  local address answer proof certificates value phase other
  read_secret mysql-app-password
  certificates=$(mktemp)
  # shellcheck disable=SC2064  # expand now
  trap "rm --force '$certificates'" EXIT
  for address in $DATABASE_HOSTS; do
    answer=$(curl --silent --fail --max-time 2 "http://$address:$DATABASE_HEALTH_PORT/certificate-authority") || continue
    proof=${answer%%|*}
    # An empty HMAC proves nothing.
    if base64 --decode <<<"${answer#*|}" >"$certificates" 2>/dev/null && [[ -n $proof ]] &&
      { [[ $proof == "$(hmac_sha256 "$value" <"$certificates")" ]] ||
        [[ -n $other && $proof == "$(hmac_sha256 "$other" <"$certificates")" ]]; }; then
      cmp --quiet "$certificates" "$AUTHORITY" || {
        install --mode=0644 "$certificates" "$AUTHORITY.new"
        mv --force "$AUTHORITY.new" "$AUTHORITY"
      }
      return
    fi
    log "ignoring the certificate authority from $address: its HMAC is not valid"
  done
  return 1
}
