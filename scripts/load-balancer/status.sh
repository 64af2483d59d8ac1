#!/usr/bin/env bash
# Prints what this load balancer is, as JSON: how it chooses, and each web server as it sees it.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

jq --null-input --compact-output \
  --arg balance "$(awk '$1 == "balance" { print $2; exit }' /etc/haproxy/haproxy.cfg)" \
  --argjson servers "$(servers | as_json)" '{balance: $balance, servers: $servers}'
