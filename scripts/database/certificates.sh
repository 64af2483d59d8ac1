#!/usr/bin/env bash
# Gives this host a key and a certificate, issued by the cluster's own authority. The authority is derived from a shared
# seed, so every database host creates the same one, byte for byte, without contacting another. Its key exists only in
# memory-backed files.
#
#   certificates.sh [--look]   with --look also if everything was found valid within a day
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

AUTHORITY_KEY=/run/cluster/secrets/certificate-authority.key
# AppArmor lets mysqld read /etc/mysql and below. The server's key is here rather than with the data, so that it is
# neither on the volume nor in a backup of it.
AUTHORITY=$MYSQL_CONFIGURATION/certificate-authority.pem
KEY=$MYSQL_CONFIGURATION/server.key
CERTIFICATE=$MYSQL_CONFIGURATION/server.pem
DAY=$((24 * 60 * 60))
RENEW_BEFORE=$((30 * DAY))
# When the certificate was last found valid, and for which names.
SEEN=$DATABASE_RUN/certificates-seen
NAMES="$CLUSTER_NAME $HOST_NAME $HOST_ADDRESS"
SERVICE_NAME=database.$CLUSTER_NAME.internal

# request ARGUMENT...: openssl req, without additions from the distribution's own openssl.cnf.
request() {
  openssl req -config <(printf '[req]\ndistinguished_name = name\n[name]\n') -x509 -new "$@"
}

# authority_key: an Ed25519 key whose 32 secret bytes are the hash of the seed, in the format of RFC 8410, section 7.
authority_key() {
  local seed secret_bytes
  seed=$(password certificate-authority-seed)
  secret_bytes=$(printf '%s' "$seed" | sha256)
  install --directory --mode=0700 "${AUTHORITY_KEY%/*}"
  (
    umask 0377
    from_hex "302e020100300506032b657004220420$secret_bytes" |
      openssl pkey -inform DER -out "$AUTHORITY_KEY.new"
  )
  mv --force "$AUTHORITY_KEY.new" "$AUTHORITY_KEY"
}

# authority: dates and serial are fixed, and Ed25519 signs without randomness.
authority() {
  request -key "$AUTHORITY_KEY" -subj "/CN=$CLUSTER_NAME database authority" \
    -set_serial 1 -not_before 20250101000000Z -not_after 20991231235959Z \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -addext "subjectKeyIdentifier=hash" -out "$AUTHORITY.new"
  if cmp --quiet "$AUTHORITY.new" "$AUTHORITY"; then
    rm "$AUTHORITY.new"
  else
    chmod 0644 "$AUTHORITY.new"
    mv "$AUTHORITY.new" "$AUTHORITY"
  fi
}

is_good() {
  [[ -s $KEY && -s $CERTIFICATE ]] &&
    openssl verify -CAfile "$AUTHORITY" -verify_ip "$HOST_ADDRESS" \
      -verify_hostname "$HOST_NAME" "$CERTIFICATE" &&
    openssl verify -CAfile "$AUTHORITY" -verify_hostname "$SERVICE_NAME" "$CERTIFICATE" &&
    openssl x509 -in "$CERTIFICATE" -noout -checkend "$RENEW_BEFORE" &&
    [[ $(openssl pkey -in "$KEY" -pubout) == "$(openssl x509 -in "$CERTIFICATE" -noout -pubkey)" ]]
} >/dev/null 2>&1

# issue: valid from an hour ago, for peers whose clocks are slow.
issue() {
  local not_before not_after
  not_before=$(date --utc --date=@$((EPOCHSECONDS - 3600)) +%Y%m%d%H%M%SZ)
  not_after=$(date --utc --date=@$((EPOCHSECONDS + 397 * DAY)) +%Y%m%d%H%M%SZ)
  (
    umask 0027
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$KEY.new" 2>/dev/null
  )
  request -key "$KEY.new" -CA "$AUTHORITY" -CAkey "$AUTHORITY_KEY" \
    -subj "/CN=$HOST_NAME" -not_before "$not_before" -not_after "$not_after" \
    -addext "basicConstraints=critical,CA:FALSE" \
    -addext "keyUsage=critical,digitalSignature" \
    -addext "extendedKeyUsage=serverAuth,clientAuth" \
    -addext "subjectAltName=IP:$HOST_ADDRESS,DNS:$HOST_NAME,DNS:$SERVICE_NAME" \
    -out "$CERTIFICATE.new" 2>/dev/null
  chown root:mysql "$KEY.new"
  chmod 0640 "$KEY.new"
  chmod 0644 "$CERTIFICATE.new"
  mv "$KEY.new" "$KEY"
  mv "$CERTIFICATE.new" "$CERTIFICATE"
  log "issued a certificate for $HOST_ADDRESS, $HOST_NAME and $SERVICE_NAME"
}

# tell_authority: publishes the answer to /certificate-authority. A client that has the app's password can verify that
# the sender of the certificate has it too.
tell_authority() {
  local app authentication
  app=$(password mysql-app-password)
  authentication=$(hmac_sha256 "$app" <"$AUTHORITY")
  printf '%s|%s\n' "$authentication" "$(base64 --wrap=0 "$AUTHORITY")" >"$AUTHORITY_ANSWER.new"
  mv "$AUTHORITY_ANSWER.new" "$AUTHORITY_ANSWER"
}

# was_seen: whether everything was found valid within the last day, since the host booted.
was_seen() {
  local at names
  read -r at names 2>/dev/null <"$SEEN" && [[ $names == "$NAMES" ]] && ((EPOCHSECONDS - at < DAY))
}

main() {
  if [[ ${1:-} != --look && -e $AUTHORITY_ANSWER ]] && was_seen; then return; fi
  # The daily check and a convergence may coincide.
  exec 7>"$DATABASE_RUN/certificates.lock"
  flock 7
  install --directory --mode=0755 "$MYSQL_CONFIGURATION"
  authority_key
  authority
  is_good || issue
  # A running server loads a new one without a restart; a starting server reads it anyway. Sent every time, so that one
  # missed answer does not matter.
  printf 'ALTER INSTANCE RELOAD TLS;\n' | sql 5 2>/dev/null || true
  tell_authority
  printf '%s %s\n' "$EPOCHSECONDS" "$NAMES" >"$SEEN"
}

main "$@"
exit
