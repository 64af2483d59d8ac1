# shellcheck shell=bash
# Certificates of the cluster's own authorities. An authority is derived from a secret, so every host that may read the
# secret creates the same one, byte for byte, without contacting another. Its key exists only in memory-backed files.
#
# Sourced after lib.sh.

DAY=$((24 * 60 * 60))
RENEW_BEFORE=$((30 * DAY))

# request ARGUMENT...: openssl req, without additions from the distribution's own openssl.cnf.
request() {
  openssl req -config <(printf '[req]\ndistinguished_name = name\n[name]\n') -x509 -new "$@"
}

# make_authority_key SECRET KEY: an Ed25519 key whose 32 secret bytes are the hash of the secret, in the format of
# RFC 8410, section 7.
make_authority_key() {
  local seed secret_bytes
  seed=$(secret "$1")
  secret_bytes=$(printf '%s' "$seed" | sha256)
  install --directory --mode=0700 "${2%/*}"
  (
    umask 0377
    from_hex "302e020100300506032b657004220420$secret_bytes" |
      openssl pkey -inform DER -out "$2.new"
  )
  mv --force "$2.new" "$2"
}

# make_authority KEY NAME CERTIFICATE: dates and serial are fixed, and Ed25519 signs without randomness.
make_authority() {
  request -key "$1" -subj "/CN=$2" \
    -set_serial 1 -not_before 20250101000000Z -not_after 20991231235959Z \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -addext "subjectKeyIdentifier=hash" -out "$3.new"
  if cmp --quiet "$3.new" "$3"; then
    rm "$3.new"
  else
    chmod 0644 "$3.new"
    mv "$3.new" "$3"
  fi
}

# is_valid AUTHORITY KEY CERTIFICATE [NAME]...: whether the certificate is of this authority, for this key, this host
# and the names, and for some time yet.
is_valid() {
  local authority=$1 key=$2 certificate=$3 name
  [[ -s $key && -s $certificate ]] &&
    openssl verify -CAfile "$authority" -verify_ip "$HOST_ADDRESS" "$certificate" &&
    openssl x509 -in "$certificate" -noout -checkend "$RENEW_BEFORE" &&
    [[ $(openssl pkey -in "$key" -pubout) == "$(openssl x509 -in "$certificate" -noout -pubkey)" ]] || return
  for name in "$HOST_NAME" "${@:4}"; do
    openssl verify -CAfile "$authority" -verify_hostname "$name" "$certificate" || return
  done
} >/dev/null 2>&1

# issue AUTHORITY AUTHORITY_KEY KEY CERTIFICATE GROUP [NAME]...: a new key, for root and the group, and its certificate
# for this host and the names. Valid from an hour ago, for peers whose clocks are slow.
issue() {
  local authority=$1 authority_key=$2 key=$3 certificate=$4 group=$5 name names not_before not_after
  names=IP:$HOST_ADDRESS,DNS:$HOST_NAME
  for name in "${@:6}"; do names+=,DNS:$name; done
  not_before=$(date --utc --date=@$((EPOCHSECONDS - 3600)) +%Y%m%d%H%M%SZ)
  not_after=$(date --utc --date=@$((EPOCHSECONDS + 397 * DAY)) +%Y%m%d%H%M%SZ)
  (
    umask 0027
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$key.new" 2>/dev/null
  )
  request -key "$key.new" -CA "$authority" -CAkey "$authority_key" \
    -subj "/CN=$HOST_NAME" -not_before "$not_before" -not_after "$not_after" \
    -addext "basicConstraints=critical,CA:FALSE" \
    -addext "keyUsage=critical,digitalSignature" \
    -addext "extendedKeyUsage=serverAuth,clientAuth" \
    -addext "subjectAltName=$names" \
    -out "$certificate.new" 2>/dev/null
  chown "root:$group" "$key.new"
  chmod 0640 "$key.new"
  chmod 0644 "$certificate.new"
  mv "$key.new" "$key"
  mv "$certificate.new" "$certificate"
  log "issued a certificate for ${names//,/, }"
}

# was_valid FILE NAMES: whether everything was found valid within the last day, since the host booted, for the same names.
was_valid() {
  local at names
  read -r at names 2>/dev/null <"$1" && [[ $names == "$2" ]] && ((EPOCHSECONDS - at < DAY))
}

# note_valid FILE NAMES
note_valid() {
  printf '%s %s\n' "$EPOCHSECONDS" "$2" >"$1"
}
