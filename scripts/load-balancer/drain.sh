#!/usr/bin/env bash
# Takes a web server out of service, or back into it.
#
#   drain.sh WEB_SERVER [--force]   sends it no new requests, and waits for those in flight
#   drain.sh --undo WEB_SERVER      sends it requests again, gradually
#
# Refuses to drain the last web server that serves, unless --force is given: visitors would get errors.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

# How long to wait for requests in flight, in seconds.
PATIENCE=30

usage="usage: drain.sh WEB_SERVER [--force], or drain.sh --undo WEB_SERVER"

# status_of NAME: sets `status` and `under_way`.
status_of() {
  local name
  while IFS=$'\t' read -r name status under_way _; do
    if [[ $name == "$1" ]]; then return; fi
  done < <(servers)
  fail "the load balancer has no web server named $1"
}

others_serve() {
  local name status
  while IFS=$'\t' read -r name status _; do
    if [[ $name != "$1" && $status == UP* ]]; then return; fi
  done < <(servers)
  return 1
}

set_state() {
  local answer
  answer=$(ask_haproxy "set server web/$1 state $2")
  [[ -z ${answer//[[:space:]]/} ]] || fail "HAProxy rejected the command: $answer"
  save_server_state || fail "HAProxy's server state could not be saved to $SERVER_STATE"
}

drain() {
  local name=$1 force=$2
  status_of "$name"
  [[ $force == --force || $status != UP* ]] || others_serve "$name" ||
    fail "$name is the last web server that serves, so visitors would get errors; to drain it anyway, use --force"
  set_state "$name" drain
  for ((SECONDS = 0; SECONDS < PATIENCE; )); do
    status_of "$name"
    if ((under_way == 0)); then
      log "$name is drained"
      return
    fi
    sleep 0.2
  done
  log "$name is drained; $under_way requests are still in progress after $PATIENCE s"
}

undrain() {
  status_of "$1"
  # Whatever its status: a drained server that is also down is shown as down.
  set_state "$1" ready
  log "$1 receives requests again"
}

main() {
  case ${1:-}:$# in
    --undo:2) undrain "$2" ;;
    [a-z]*:1) drain "$1" "" ;;
    [a-z]*:2) [[ $2 == --force ]] || fail "$usage" ; drain "$1" --force ;;
    *) fail "$usage" ;;
  esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
