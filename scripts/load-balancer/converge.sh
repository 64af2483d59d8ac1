#!/usr/bin/env bash
# Runs HAProxy with its declared configuration. An invalid configuration is never loaded: the running process keeps the
# current one.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

# Only the version of the format: no state yet.
[[ -s $SERVER_STATE ]] || printf '1\n' >"$SERVER_STATE"
haproxy -c -q -f /etc/haproxy/haproxy.cfg
if systemctl --quiet is-active haproxy.service; then
  save_server_state || log "what HAProxy knows of the web servers could not be kept"
fi
keep_serving haproxy /etc/haproxy/haproxy.cfg
