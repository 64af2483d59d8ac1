#!/usr/bin/env bash
# Prints how this load balancer is, for the other one, in lines of text:
#
#   holds yes|no        whether it holds the visitors' address
#   obstacle REASON     why it could not take it; empty if it can
#   up NUMBER           how many web servers it sends requests
#   servers             then HAProxy's own lines on the web servers, for another HAProxy to start with
#   end
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
# shellcheck source=pair.sh
source /opt/cluster/scripts/load-balancer/pair.sh

main() {
  local held=no up=0
  if holds; then held=yes; fi
  up=$(servers 2>/dev/null | awk -F '\t' '$2 ~ /^UP/ { up++ } END { print up + 0 }') || up=0
  printf 'holds %s\nobstacle %s\nup %s\nservers\n' "$held" "$(obstacle)" "$up"
  # An empty line ends HAProxy's answer.
  ask_haproxy "show servers state" 2>/dev/null | sed '/^[[:space:]]*$/d' || true
  printf 'end\n'
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; exit; fi
