#!/usr/bin/env bash
# Ends connections to a web server that has fallen silent, so that HAProxy sends what may be repeated to another one.
#
# HAProxy marks such a web server as down, but goes on waiting for the responses that it owes: nothing tells a host that is
# frozen or cut off from an app that takes its time. So as soon as a health check of a web server gets no answer, this script
# asks Nginx there for a page that Nginx has itself. If there is no answer to that either, the host is silent, whatever its
# app does. Its connections are then aborted in this host's kernel: HAProxy repeats a request without a response elsewhere,
# if it may be repeated, and answers 502 if not.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

# Milliseconds between two looks, and seconds for Nginx to answer. A check begins every second and takes a second to fail:
# together with these, a silent web server's requests are repeated within three seconds.
PAUSE=250
PATIENCE=0.6

# One connection to HAProxy is for so many looks: a process for each would take 4 % of a processor. A reload of HAProxy is
# noticed with the next connection.
LOOKS=8

# answers ADDRESS: whether Nginx on a web server answers. Like a visitor's request, this one has an identifier: Nginx
# refuses it below /.cluster/ without asking the app.
answers() {
  curl --silent --output /dev/null --max-time "$PATIENCE" --header 'X-Request-Id: silence' \
    "http://$1:$WEB_PORT/.cluster/silence"
}

# give_up NAME ADDRESS
give_up() {
  local aborted
  # Until its checks succeed again. It may be down already.
  ask_haproxy "set server web/$1 health down" >/dev/null || true
  aborted=$(ss --kill --no-header --tcp --numeric state connected dst "$2" dport = ":$WEB_PORT" | wc --lines)
  log "$1 does not answer: $aborted connections to it are aborted, and their requests repeated elsewhere if they may be"
}

examine() {
  answers "$2" || give_up "$1" "$2"
}

# look: examines the web servers whose last check got no answer and to which requests are in flight, all at the same time.
# Fails after that: what HAProxy has sent meanwhile is no longer so.
look() {
  local seen server name status in_flight check examinations=()
  for seen in "${SERVERS[@]}"; do
    IFS=$'\t' read -r name status in_flight _ _ _ check _ <<<"$seen"
    if [[ $in_flight == 0 || $status == MAINT* || ! $check =~ ^(L[47]TOUT|L4CON)$ ]]; then continue; fi
    for server in $WEB_SERVERS; do
      if [[ ${server%%:*} == "$name" ]]; then
        examine "$name" "${server#*:}" &
        examinations+=("$!")
      fi
    done
  done
  ((${#examinations[@]} > 0)) || return 0
  wait "${examinations[@]}"
  return 1
}

# watch: looks again and again, until the connection to HAProxy ends or a web server was examined.
watch() {
  local question=$STATISTICS number
  for ((number = 1; number < LOOKS; number++)); do question+="; wait ${PAUSE}ms; $STATISTICS"; done
  # At the end of its input, HAProxy would not wait.
  while read_servers && look; do :; done \
    < <(socat STDIO,ignoreeof "UNIX-CONNECT:$HAPROXY_SOCKET" <<<"$question" 2>/dev/null)
}

main() {
  local never
  # A read that never gets anything waits without a process of its own.
  exec {never}<> <(:)
  while true; do
    # Without HAProxy, there is nothing to see.
    watch || true
    read -r -t "0.$PAUSE" -u "$never" || true
  done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; exit; fi
