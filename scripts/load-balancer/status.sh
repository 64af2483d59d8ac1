#!/usr/bin/env bash
# Prints this load balancer's status as JSON: its balancing algorithm, the web servers as it sees them and, if it is one
# of two, how it stands to the visitors' address.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
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

jq --null-input --compact-output \
  --arg balance "$(awk '$1 == "balance" { print $2; exit }' /etc/haproxy/haproxy.cfg)" \
  --argjson servers "$(servers | as_json)" --argjson pair "$(pair_as_json)" \
  '{balance: $balance, servers: $servers, pair: $pair}'
