#!/usr/bin/env bash
# Gives this load balancer the certificate that visitors get: its own, self-signed, for the names that the facts state. A
# new one is made if there is none, if it is not for these names, or if it expires within 30 days. A running HAProxy
# takes it over from its memory, without a reload: connections go on, and those that begin afterwards get the new one.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=../host/certificates.sh
source /opt/cluster/scripts/host/certificates.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

# How long a certificate is valid, in days. Browsers ask again whether to accept a self-signed one each time it is renewed.
VALID=90

# names FILE: prints the names of a certificate as the facts state them.
names() {
  openssl x509 -in "$1" -noout -ext subjectAltName | sed '1d; s/IP Address:/IP:/g; s/^ *//; s/, / /g'
}

# is_good FILE: whether it has a certificate for the names and for some time yet, and the key that belongs to it.
is_good() {
  [[ -s $1 ]] && openssl x509 -in "$1" -noout -checkend "$RENEW_BEFORE" &&
    [[ $(names "$1") == "$TLS_NAMES" ]] &&
    [[ $(openssl pkey -in "$1" -pubout) == "$(openssl x509 -in "$1" -noout -pubkey)" ]]
} >/dev/null 2>&1

# make FILE: a new key and its certificate, in one file, so that no one sees one without the other.
make() {
  local certificate
  install --directory --owner=root --group=haproxy --mode=0750 "${1%/*}"
  (
    umask 0077
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.new" 2>/dev/null
  )
  certificate=$(request -key "$1.new" -days "$VALID" -subj "/O=$CLUSTER_NAME/CN=$HOST_NAME" \
    -addext "basicConstraints=critical,CA:FALSE" \
    -addext "keyUsage=critical,digitalSignature" \
    -addext "extendedKeyUsage=serverAuth" \
    -addext "subjectAltName=${TLS_NAMES// /,}") || fail "openssl could not make a certificate for ${TLS_NAMES// /, }"
  printf '%s\n' "$certificate" >>"$1.new"
  chown root:haproxy "$1.new"
  chmod 0640 "$1.new"
  mv "$1.new" "$1"
  log "made a certificate for ${TLS_NAMES// /, }, valid for $VALID days"
}

# served: prints the SHA-1 fingerprint of the certificate that HAProxy serves; nothing if HAProxy does not run or serves
# none yet.
served() {
  ask_haproxy "show ssl cert $VISITORS_CERTIFICATE" 2>/dev/null | sed --quiet 's/^SHA1 FingerPrint: //p'
}

# fingerprint FILE
fingerprint() {
  local print
  print=$(openssl x509 -in "$1" -noout -fingerprint -sha1)
  print=${print#*=}
  printf '%s' "${print//:/}"
}

# take_over: makes HAProxy serve what is in the file. Until it has accepted that, it serves the one from before.
# https://docs.haproxy.org/3.2/management.html#9.3, "set ssl cert"
take_over() {
  local answer
  answer=$(ask_haproxy "set ssl cert $VISITORS_CERTIFICATE <<
$(<"$VISITORS_CERTIFICATE")
")
  if [[ $answer == *"Transaction created"* ]]; then
    answer=$(ask_haproxy "commit ssl cert $VISITORS_CERTIFICATE")
    if [[ $answer == *Success* ]]; then return; fi
    ask_haproxy "abort ssl cert $VISITORS_CERTIFICATE" >/dev/null || true
  fi
  fail "HAProxy rejects the new certificate and goes on with the old one: ${answer//$'\n'/ }"
}

main() {
  local before
  # The daily check and a convergence may coincide.
  mkdir --parents /run/cluster
  exec 7>/run/cluster/visitors-certificate.lock
  flock 7
  is_good "$VISITORS_CERTIFICATE" || make "$VISITORS_CERTIFICATE"
  before=$(served) || before=""
  if [[ -n $before && $before != "$(fingerprint "$VISITORS_CERTIFICATE")" ]]; then
    take_over
    log "HAProxy serves the new certificate"
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; exit; fi
