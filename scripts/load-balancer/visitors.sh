# shellcheck shell=bash
# What a load balancer knows of the certificate that visitors get, and tells its HAProxy.
#
# Sourced after lib.sh and servers.sh.

# Why there is no certificate that browsers trust, or no newer one; no file if nothing is wrong.
CERTIFICATE_FAILURE=/run/cluster/visitors-certificate.failure

# uses_acme: whether an authority issues the certificate.
uses_acme() { [[ -n ${ACME_DIRECTORY:-} ]]; }
# uses_given: whether an operator gives it.
uses_given() { [[ -n ${GIVEN_CERTIFICATE:-} ]]; }
# is_to_be_trusted: whether browsers are to trust it.
is_to_be_trusted() { [[ -n ${VISITORS_MAP:-} ]]; }

# tell_haproxy KEY VALUE: changes the map, on disk and in a running HAProxy.
# https://docs.haproxy.org/3.2/management.html#9.3, "set map": the key has to be there.
tell_haproxy() {
  if [[ ! -s $VISITORS_MAP ]]; then
    install --directory --owner=root --group=haproxy --mode=0750 "${VISITORS_MAP%/*}"
    printf 'thumbprint -\ntrusted no\n' >"$VISITORS_MAP.new"
    mv "$VISITORS_MAP.new" "$VISITORS_MAP"
  fi
  if [[ $(sed --quiet "s/^$1 //p" "$VISITORS_MAP") == "$2" ]]; then return; fi
  sed "s|^$1 .*|$1 $2|" "$VISITORS_MAP" >"$VISITORS_MAP.new"
  mv "$VISITORS_MAP.new" "$VISITORS_MAP"
  ask_haproxy "set map $VISITORS_MAP $1 $2" >/dev/null 2>&1 || true
}

# note_failure WHY: one line for status.
note_failure() {
  printf 'no certificate for %s: %s\n' "${TLS_NAMES//DNS:/}" "$1" >"$CERTIFICATE_FAILURE.new"
  mv "$CERTIFICATE_FAILURE.new" "$CERTIFICATE_FAILURE"
}

# describe FILE: prints what its certificate is, in one line.
describe() {
  openssl x509 -in "$1" -noout -subject -issuer -startdate -enddate -ext subjectAltName 2>/dev/null |
    grep --invert-match --regexp='^X509v3' | sed 's/^ *//' | paste --serial --delimiters=';' | sed 's/;/; /g'
}
