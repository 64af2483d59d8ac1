# shellcheck shell=bash
# The web servers, as HAProxy on the load balancer knows them.

# Kept outside of HAProxy as well, so that what was drained stays drained over a restart.
SERVER_STATE=/var/lib/cluster/haproxy-server-state

# ask_haproxy COMMAND: through its runtime socket.
ask_haproxy() {
  printf '%s\n' "$1" | socat -t 5 - "UNIX-CONNECT:$HAPROXY_SOCKET"
}

save_server_state() {
  ask_haproxy "show servers state" >"$SERVER_STATE.new" && [[ -s $SERVER_STATE.new ]] &&
    mv "$SERVER_STATE.new" "$SERVER_STATE"
}

# servers: a line for each web server, its fields apart by tabs: name, status, requests under way, checks
# that failed, times it went down, seconds since its status changed, what the last check said (with an
# asterisk while the next is under way), the status that was answered to it or -.
# https://docs.haproxy.org/3.2/management.html#9.1: fields 1, 2, 18, 5, 22, 23, 24, 37 and 38 of the statistics.
servers() {
  ask_haproxy "show stat web 4 -1" |
    awk -F, -v OFS='\t' '$1 == "web" {
      sub(/^[*] /, "", $37)
      print $2, $18, $5, $22 + 0, $23 + 0, $24 + 0, $37 == "" ? "-" : $37, $38 == "" ? "-" : $38 }'
}

# as_json: of such lines, a list of objects.
as_json() {
  jq --raw-input --slurp --compact-output 'split("\n") | map(select(. != "") | split("\t") |
    {name: .[0], status: .[1], underWay: (.[2] | tonumber), changedSecondsAgo: (.[5] | tonumber),
     check: .[6], answer: (if .[7] == "-" or .[7] == "0" then null else .[7] | tonumber end)})'
}
