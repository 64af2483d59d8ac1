#!/usr/bin/env bash
# Prints this load balancer's status as JSON: its balancing algorithm, and the web servers as it sees them.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

jq --null-input --compact-output \
  --arg balance "$(awk '$1 == "balance" { print $2; exit }' /etc/haproxy/haproxy.cfg)" \
  --argjson servers "$(servers | as_json)" '{balance: $balance, servers: $servers}'
