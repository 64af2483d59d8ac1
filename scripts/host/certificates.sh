# shellcheck shell=bash
# Certificates of the cluster's own authorities. An authority is derived from a secret, so every host that may read the
# secret creates the same one, byte for byte, without contacting another. Its key exists only in memory-backed files.
#
# While the secret is being rotated there are two, and the file of authorities has both: first the one that issues
# certificates, then the other one, whose certificates are accepted too. They have the same name, and OpenSSL tells them
# apart by the identifiers of their keys.
#
# Sourced after lib.sh.

DAY=$((24 * 60 * 60))
RENEW_BEFORE=$((30 * DAY))

# request ARGUMENT...: openssl req, without additions from the distribution's own openssl.cnf.
request() {
  openssl req -config <(printf '[req]\ndistinguished_name = name\n[name]\n') -x509 -new "$@"
}

# make_derived_key SEED KEY BEFORE [AFTER]: a key whose 32 secret bytes are the hash of the seed. BEFORE and AFTER are what
# surrounds them in the key's format, DER in hexadecimal.
make_derived_key() {
  local secret_bytes
  secret_bytes=$(printf '%s' "$1" | sha256)
  install --directory --mode=0700 "${2%/*}"
  (
    umask 0377
    from_hex "$3$secret_bytes${4:-}" | openssl pkey -inform DER -out "$2.new"
  )
  mv --force "$2.new" "$2"
}

# make_authority_key SEED KEY: an Ed25519 key, in the format of RFC 8410, section 7.
make_authority_key() { make_derived_key "$1" "$2" 302e020100300506032b657004220420; }

# print_authority KEY NAME: its certificate. Dates and serial are fixed, and Ed25519 signs without randomness.
print_authority() {
  request -key "$1" -subj "/CN=$2" \
    -set_serial 1 -not_before 20250101000000Z -not_after 20991231235959Z \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -addext "subjectKeyIdentifier=hash"
}

# make_authorities SECRET KEY NAME FILE: the key of the authority that issues certificates, and the file of authorities.
make_authorities() {
  local value phase other
  read_secret "$1"
  make_authority_key "$value" "$2"
  print_authority "$2" "$3" >"$4.new"
  if [[ $phase == next || $phase == previous ]]; then
    make_authority_key "$other" "$2.other"
    print_authority "$2.other" "$3" >>"$4.new"
    rm --force "$2.other"
  fi
  if cmp --quiet "$4.new" "$4"; then
    rm "$4.new"
  else
    chmod 0644 "$4.new"
    mv "$4.new" "$4"
  fi
}

# issuer AUTHORITIES: prints the first certificate of the file.
issuer() { openssl x509 -in "$1"; }

# is_valid AUTHORITIES KEY CERTIFICATE [NAME]...: whether the certificate is of the first authority, for this key, this host
# and the names, and for some time yet.
is_valid() {
  local authorities=$1 key=$2 certificate=$3 name
  [[ -s $key && -s $certificate ]] &&
    openssl verify -CAfile <(issuer "$authorities") -verify_ip "$HOST_ADDRESS" "$certificate" &&
    openssl x509 -in "$certificate" -noout -checkend "$RENEW_BEFORE" &&
    [[ $(openssl pkey -in "$key" -pubout) == "$(openssl x509 -in "$certificate" -noout -pubkey)" ]] || return
  for name in "$HOST_NAME" "${@:4}"; do
    openssl verify -CAfile <(issuer "$authorities") -verify_hostname "$name" "$certificate" || return
  done
} >/dev/null 2>&1

# issue AUTHORITIES AUTHORITY_KEY KEY CERTIFICATE GROUP [NAME]...: a new key, for root and the group, and its certificate
# for this host and the names. Valid from an hour ago, for peers whose clocks are slow.
issue() {
  local authorities=$1 authority_key=$2 key=$3 certificate=$4 group=$5 name names not_before not_after
  names=IP:$HOST_ADDRESS,DNS:$HOST_NAME
  for name in "${@:6}"; do names+=,DNS:$name; done
  not_before=$(date --utc --date=@$((EPOCHSECONDS - 3600)) +%Y%m%d%H%M%SZ)
  not_after=$(date --utc --date=@$((EPOCHSECONDS + 397 * DAY)) +%Y%m%d%H%M%SZ)
  (
    umask 0027
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$key.new" 2>/dev/null
  )
  request -key "$key.new" -CA <(issuer "$authorities") -CAkey "$authority_key" \
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
