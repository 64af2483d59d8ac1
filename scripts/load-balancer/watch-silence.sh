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

# Seconds between two looks, and for Nginx to answer. A check begins every second and takes a second to fail: together with
# these, a silent web server's requests are repeated within three seconds.
PAUSE=0.25
PATIENCE=0.6

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
look() {
  local seen server name status in_flight check
  read_servers 2>/dev/null || return
  for seen in "${SERVERS[@]}"; do
    IFS=$'\t' read -r name status in_flight _ _ _ check _ <<<"$seen"
    if [[ $in_flight == 0 || $status == MAINT* || ! $check =~ ^(L[47]TOUT|L4CON)$ ]]; then continue; fi
    for server in $WEB_SERVERS; do
      if [[ ${server%%:*} == "$name" ]]; then examine "$name" "${server#*:}" & fi
    done
  done
  wait
}

main() {
  local never
  # A read that never gets anything waits without a process of its own.
  exec {never}<> <(:)
  while true; do
    # Without HAProxy, there is nothing to see.
    look || true
    read -r -t "$PAUSE" -u "$never" || true
  done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; exit; fi
