# shellcheck shell=bash
# The secret with which HAProxy tells a client of HTTP/3 that it does not know the client's connection, a stateless reset
# (RFC 9000, section 10.3). The client would otherwise wait for 30 s: after a restart of HAProxy, and after the other load
# balancer has taken the visitors' address. Also encrypts the tokens by which clients prove their address (section 8.1.2).
#
# Sourced after lib.sh.

# write_quic_configuration: HAProxy's second configuration file, with what is derived from the secret. Where visitors cannot
# use TLS, there is nothing in it.
write_quic_configuration() {
  local lines="# By scripts/load-balancer/quic.sh.
global
"
  if [[ -n ${QUIC_DERIVED_FROM:-} ]]; then lines+="  cluster-secret $(secret "$QUIC_DERIVED_FROM" | sha256)
"; fi
  if [[ $(cat "$QUIC_CONFIGURATION" 2>/dev/null) == "${lines%$'\n'}" ]]; then return; fi
  (
    umask 0077
    printf '%s' "$lines" >"$QUIC_CONFIGURATION.new"
  )
  mv "$QUIC_CONFIGURATION.new" "$QUIC_CONFIGURATION"
}
