# shellcheck shell=bash
# The web servers, as HAProxy on the load balancer knows them.

# Kept outside of HAProxy as well, so that what was drained stays drained over a restart.
SERVER_STATE=/var/lib/cluster/haproxy-server-state

# ask_haproxy COMMAND: through its runtime socket.
ask_haproxy() {
  printf '%s\n' "$1" | socat -t 5 - UNIX-CONNECT:/run/haproxy/admin.sock
}

save_server_state() {
  ask_haproxy "show servers state" >"$SERVER_STATE.new" && [[ -s $SERVER_STATE.new ]] &&
    mv "$SERVER_STATE.new" "$SERVER_STATE"
}

# servers: a line for each web server: name, status, requests under way.
# https://docs.haproxy.org/3.2/management.html#9.1: fields 1, 2, 18 and 5 of the statistics.
servers() {
  ask_haproxy "show stat web 4 -1" | awk -F, '$1 == "web" { print $2, $18, $5 }'
}
