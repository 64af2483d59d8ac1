#!/usr/bin/env bash
# Gives this load balancer the certificate that visitors get: its own, for the names that the facts state. A running HAProxy
# takes it over from its memory, without a reload: connections go on, and those that begin afterwards get the new one.
#
#   visitors-certificate.sh            ensures that there is one with which HAProxy can start
#   visitors-certificate.sh --renew    also renews it, when it is time
#
# It is self-signed, of an authority that the facts name, or one that an operator gave. Until the authority has issued one, or
# the operator has given one, HAProxy has a self-signed one.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=../host/certificates.sh
source /opt/cluster/scripts/host/certificates.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
# shellcheck source=visitors.sh
source /opt/cluster/scripts/load-balancer/visitors.sh
# shellcheck source=acme.sh
source /opt/cluster/scripts/load-balancer/acme.sh

# How long a certificate is valid, in days. Browsers ask again whether to accept a self-signed one each time it is renewed.
VALID=90

# has_names FILE: whether the certificate is for the names that the facts state, in any order.
has_names() {
  local names
  names=$(openssl x509 -in "$1" -noout -ext subjectAltName | sed '1d; s/IP Address:/IP:/g; s/, */\n/g; s/^ *//')
  [[ $(sort <<<"$names") == "$(tr ' ' '\n' <<<"$TLS_NAMES" | sort)" ]]
}

# has_all_names FILE: whether the certificate is for them; it may be for others too, and by wildcards.
has_all_names() {
  local name
  for name in ${TLS_NAMES//DNS:/}; do
    openssl x509 -in "$1" -noout -checkhost "$name" | grep --quiet 'does match' || return
  done
}

# is_usable FILE: whether it has a certificate and the key that belongs to it, with which HAProxy starts.
is_usable() {
  [[ -s $1 ]] && [[ $(openssl pkey -in "$1" -pubout) == "$(openssl x509 -in "$1" -noout -pubkey)" ]]
} >/dev/null 2>&1

# signer FILE: prints who signed its certificate: `authority`, or `itself`.
signer() {
  if [[ $(openssl x509 -in "$1" -noout -subject_hash) == $(openssl x509 -in "$1" -noout -issuer_hash) ]]; then
    printf itself
  else
    printf authority
  fi
}

wanted_signer() { if uses_acme; then printf authority; else printf itself; fi; }

# given: prints what an operator gave, the key and the certificate with its chain; nothing if there is none yet.
given() {
  local content
  content=$(secret "$GIVEN_CERTIFICATE" | base64 --decode 2>/dev/null | tr --delete '\0') || content=""
  if [[ $content == "-----BEGIN"* ]]; then printf '%s\n' "$content"; fi
}

# renew_before FILE: prints how many seconds before the end of its validity the certificate is to be renewed. An authority's,
# which may be for 90 days and for 6: a third of it.
renew_before() {
  local from until
  if ! uses_acme; then
    printf '%s' "$RENEW_BEFORE"
    return
  fi
  from=$(date --date="$(openssl x509 -in "$1" -noout -startdate | cut --delimiter== --fields=2)" +%s)
  until=$(date --date="$(openssl x509 -in "$1" -noout -enddate | cut --delimiter== --fields=2)" +%s)
  printf '%s' "$(((until - from) / 3))"
}

# is_good FILE: whether it has the certificate that visitors are to get, for some time yet, and the key that belongs to it.
is_good() {
  local content
  if uses_given; then
    content=$(given)
    [[ -n $content && $content == "$(<"$1")" ]]
    return
  fi
  is_usable "$1" && has_names "$1" && [[ $(signer "$1") == "$(wanted_signer)" ]] &&
    { ! uses_acme || [[ $(source_of "$1") == "$(wanted_source)" ]]; } &&
    openssl x509 -in "$1" -noout -checkend "$(renew_before "$1")"
} >/dev/null 2>&1

# make_key FILE: a new key, readable for HAProxy.
make_key() {
  install --directory --owner=root --group=haproxy --mode=0750 "${1%/*}"
  (
    umask 0077
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
  )
  chown root:haproxy "$1"
  chmod 0640 "$1"
}

# make FILE: a new key and its self-signed certificate, in one file, so that no one sees one without the other.
make() {
  local certificate
  make_key "$1.new"
  certificate=$(request -key "$1.new" -days "$VALID" -subj "/O=$CLUSTER_NAME/CN=$HOST_NAME" \
    -addext "basicConstraints=critical,CA:FALSE" \
    -addext "keyUsage=critical,digitalSignature" \
    -addext "extendedKeyUsage=serverAuth" \
    -addext "subjectAltName=${TLS_NAMES// /,}") || fail "openssl could not make a certificate for ${TLS_NAMES// /, }"
  printf '%s\n' "$certificate" >>"$1.new"
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

# take_given FILE: puts what an operator gave into the file. Notes why it cannot, and leaves the file as it is.
take_given() {
  local problems=()
  make_key "$1.new"
  given >"$1.new"
  if [[ ! -s $1.new ]]; then
    problems=("none was given yet: npm run cluster -- STACK set-certificate")
  elif ! is_usable "$1.new"; then
    problems=("the key that was given is not the certificate's" "$(describe "$1.new")")
  else
    has_all_names "$1.new" || problems+=("what was given is not for all of these names")
    openssl x509 -in "$1.new" -noout -checkend 0 >/dev/null || problems+=("what was given has expired")
    if ((${#problems[@]} > 0)); then problems+=("$(describe "$1.new")"); fi
  fi
  if ((${#problems[@]} > 0)); then
    note_failure "$(printf '%s\n' "${problems[@]}" | paste --serial --delimiters=';' | sed 's/;/; /g')"
    rm --force "$1.new"
    return 1
  fi
  mv "$1.new" "$1"
  log "took the certificate that was given: $(describe "$1")"
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

# install_certificate FILE: makes a running HAProxy serve what is in the file, and tells it whether browsers may rely on that.
install_certificate() {
  local before trusted=no
  before=$(served) || before=""
  if [[ -n $before && $before != "$(fingerprint "$1")" ]]; then
    take_over
    log "HAProxy serves the new certificate"
  fi
  if is_to_be_trusted; then
    if [[ $(signer "$1") == authority ]] && has_all_names "$1" && openssl x509 -in "$1" -noout -checkend 0 >/dev/null; then trusted=yes; fi
    tell_haproxy trusted "$trusted"
  fi
}

# renew FILE: as the facts say.
renew() {
  local how=make
  if uses_acme; then how=obtain; elif uses_given; then how=take_given; fi
  if "$how" "$1"; then
    rm --force "$CERTIFICATE_FAILURE"
  else
    log "$(<"$CERTIFICATE_FAILURE")"
    return 1
  fi
}

main() {
  local failed=0
  # The timer and a convergence may coincide. A convergence does not wait for the authority.
  mkdir --parents /run/cluster
  exec 7>/run/cluster/visitors-certificate.lock
  if [[ ${1:-} == --renew ]]; then
    flock 7
  elif ! flock --nonblock 7; then
    is_usable "$VISITORS_CERTIFICATE" && return
    flock 7
  fi
  if uses_acme; then prepare_account; fi
  is_usable "$VISITORS_CERTIFICATE" || make "$VISITORS_CERTIFICATE"
  # Only the unit asks an authority, and fails for what is wrong with what was given: HAProxy starts without.
  if ! is_good "$VISITORS_CERTIFICATE" && { ! is_to_be_trusted || [[ ${1:-} == --renew ]]; }; then
    renew "$VISITORS_CERTIFICATE" || failed=1
  fi
  install_certificate "$VISITORS_CERTIFICATE"
  return "$failed"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
