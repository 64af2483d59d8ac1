# shellcheck shell=bash
# The web servers, as HAProxy on the load balancer sees them.

# HAProxy loads this file when it starts, so that drained servers stay drained across restarts.
SERVER_STATE=/var/lib/cluster/haproxy-server-state

# ask_haproxy COMMAND: runs a command through HAProxy's runtime socket.
ask_haproxy() {
  socat -t 5 - "UNIX-CONNECT:$HAPROXY_SOCKET" <<<"$1"
}

save_server_state() {
  ask_haproxy "show servers state" >"$SERVER_STATE.new" && [[ -s $SERVER_STATE.new ]] &&
    mv "$SERVER_STATE.new" "$SERVER_STATE"
}

# https://docs.haproxy.org/3.2/management.html#9.3, "show stat": the servers of the backend.
STATISTICS="show stat web 4 -1"

# read_servers: reads one answer to $STATISTICS, and sets SERVERS to a line for each web server, with tab-separated fields:
# name, status, requests in flight, failed checks, transitions to down, seconds since the last status change, result of the
# last check, its HTTP status or -. Fails if there is no answer. Starts no process: it is called four times a second.
# https://docs.haproxy.org/3.2/management.html#9.1: fields 1, 2, 18, 5, 22, 23, 24, 37 and 38 of the statistics.
read_servers() {
  local line check f answered=1
  SERVERS=()
  while IFS=, read -r -a f && ((${#f[@]} > 0)); do
    answered=0
    [[ ${f[0]} == web ]] || continue
    # While the next check is in progress, the result of the last one is marked with a star.
    check=${f[36]#"* "}
    printf -v line '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s' "${f[1]}" "${f[17]}" "${f[4]}" "${f[21]:-0}" "${f[22]:-0}" \
      "${f[23]:-0}" "${check:--}" "${f[37]:--}"
    SERVERS+=("$line")
  done
  return "$answered"
}

# servers: prints these lines. While the next check is in progress, HAProxy shows the result of the last one without its
# HTTP status, so this looks again.
servers() {
  local attempt
  for attempt in 1 2 3 4 5; do
    read_servers < <(ask_haproxy "$STATISTICS") || return
    if ((attempt == 5)) || ! printf '%s\n' "${SERVERS[@]}" | grep --quiet --perl-regexp '\tL7(OK|STS)\t[0-]$'; then break; fi
    sleep 0.05
  done
  if ((${#SERVERS[@]} > 0)); then printf '%s\n' "${SERVERS[@]}"; fi
}

# as_json: converts such lines to a JSON array.
as_json() {
  jq --raw-input --slurp --compact-output 'split("\n") | map(select(. != "") | split("\t") |
    {name: .[0], status: .[1], underWay: (.[2] | tonumber), changedSecondsAgo: (.[5] | tonumber),
     check: .[6], answer: (if .[7] == "-" or .[7] == "0" then null else .[7] | tonumber end)})'
}
