#!/usr/bin/env bash
# Prints this load balancer's status as JSON: its balancing algorithm, the web servers as it sees them, the certificate
# that visitors get and, if it is one of two, how it stands to the visitors' address.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
# shellcheck source=visitors.sh
source /opt/cluster/scripts/load-balancer/visitors.sh
# shellcheck source=pair.sh
source /opt/cluster/scripts/load-balancer/pair.sh

pair_as_json() {
  local held=false failure=""
  if ! is_pair; then
    printf 'null'
    return
  fi
  if holds; then held=true; fi
  if [[ -s $PAIR_RUN/failure ]]; then failure=$(<"$PAIR_RUN/failure"); fi
  jq --null-input --compact-output --argjson holds "$held" --arg obstacle "$(obstacle)" --arg failure "$failure" \
    'def known: if . == "" then null else . end;
     {holds: $holds, obstacle: ($obstacle | known), failure: ($failure | known)}'
}

# tls_as_json: what HAProxy serves, which is not always what is in the file, and why there is no newer one.
# null if visitors cannot use TLS.
# https://docs.haproxy.org/3.2/management.html#9.3, "show ssl cert"
tls_as_json() {
  if [[ -z ${TLS_NAMES:-} ]]; then
    printf 'null'
    return
  fi
  ask_haproxy "show ssl cert $VISITORS_CERTIFICATE" 2>/dev/null | jq --raw-input --slurp --compact-output \
    --argjson trusted "$(if is_to_be_trusted; then printf true; else printf false; fi)" \
    --arg failure "$(cat "$CERTIFICATE_FAILURE" 2>/dev/null || true)" '
    def seconds: strptime("%b %d %H:%M:%S %Y GMT") | mktime;
    split("\n") | map(capture("^(?<key>[A-Za-z0-9 ]+): (?<value>.*)$")) | from_entries |
    {certificate: (if .notAfter == null then null else
      {subject: .Subject, issuer: .Issuer, validFrom: (.notBefore | seconds), validUntil: (.notAfter | seconds)} end),
      isToBeTrusted: $trusted, failure: (if $failure == "" then null else $failure end)}'
}

jq --null-input --compact-output \
  --arg balance "$(awk '$1 == "balance" { print $2; exit }' /etc/haproxy/haproxy.cfg)" \
  --argjson servers "$(servers | as_json)" --argjson pair "$(pair_as_json)" \
  --argjson tls "$(tls_as_json)" \
  '{balance: $balance, servers: $servers, tls: $tls, pair: $pair}'
