# shellcheck shell=bash
# The web servers, as HAProxy on the load balancer sees them.

# HAProxy loads this file when it starts, so that drained servers stay drained across restarts.
SERVER_STATE=/var/lib/cluster/haproxy-server-state

# ask_haproxy COMMAND: runs a command through HAProxy's runtime socket.
ask_haproxy() {
  printf '%s\n' "$1" | socat -t 5 - "UNIX-CONNECT:$HAPROXY_SOCKET"
}

save_server_state() {
  ask_haproxy "show servers state" >"$SERVER_STATE.new" && [[ -s $SERVER_STATE.new ]] &&
    mv "$SERVER_STATE.new" "$SERVER_STATE"
}

# servers: prints a line for each web server, with tab-separated fields: name, status, requests in flight, failed checks,
# transitions to down, seconds since the last status change, result of the last check, its HTTP status or -.
# https://docs.haproxy.org/3.2/management.html#9.1: fields 1, 2, 18, 5, 22, 23, 24, 37 and 38 of the statistics.
servers() {
  local attempt stat
  for attempt in 1 2 3 4 5; do
    stat=$(ask_haproxy "show stat web 4 -1") || return
    # While the next check is in progress, HAProxy shows the result of the last one without its HTTP status.
    if ((attempt == 5)) || ! grep --quiet --extended-regexp '^web,.*,[*] L7(OK|STS),0?,' <<<"$stat"; then break; fi
    sleep 0.05
  done
  awk -F, -v OFS='\t' '$1 == "web" {
    sub(/^[*] /, "", $37)
    print $2, $18, $5, $22 + 0, $23 + 0, $24 + 0, $37 == "" ? "-" : $37, $38 == "" ? "-" : $38 }' <<<"$stat"
}

# as_json: converts such lines to a JSON array.
as_json() {
  jq --raw-input --slurp --compact-output 'split("\n") | map(select(. != "") | split("\t") |
    {name: .[0], status: .[1], underWay: (.[2] | tonumber), changedSecondsAgo: (.[5] | tonumber),
     check: .[6], answer: (if .[7] == "-" or .[7] == "0" then null else .[7] | tonumber end)})'
}
