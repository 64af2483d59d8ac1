#!/usr/bin/env bash
# HAProxy with its declared configuration. A configuration it would refuse is never loaded: the
# process that serves goes on with the one it has.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

# The version of the format, and nothing yet.
[[ -s $SERVER_STATE ]] || printf '1\n' >"$SERVER_STATE"
haproxy -c -q -f /etc/haproxy/haproxy.cfg
if systemctl --quiet is-active haproxy.service; then
  save_server_state || log "what HAProxy knows of the web servers could not be kept"
fi
keep_serving haproxy /etc/haproxy/haproxy.cfg
