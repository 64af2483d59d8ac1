#!/usr/bin/env bash
# Waits until this load balancer's health checks of a web server have succeeded for STEADY seconds without a failure.
# Prints as JSON how it sees the web server in the end; fails if that takes longer than PATIENCE seconds.
#
#   await-checks.sh WEB_SERVER STEADY PATIENCE [--in-service]
#
# Drained web servers are checked as well. With --in-service the web server must not be drained.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh

# look NAME: sets `line` to HAProxy's data on the web server.
look() {
  line=$(servers | awk -F '\t' -v name="$1" '$1 == name')
  [[ -n $line ]] || fail "the load balancer has no web server named $1"
}

main() {
  local name=$1 steady=$(($2 * 1000)) patience=$(($3 * 1000)) in_service=${4:-}
  local begun now since line="" counted="" status failed downs check answer
  milliseconds
  begun=$now since=$now
  while true; do
    look "$name"
    milliseconds
    IFS=$'\t' read -r _ status _ failed downs _ check answer <<<"$line"
    # A status like "UP 1/2" is about to change.
    if [[ ($status == UP || ($status == DRAIN && -z $in_service)) && $check == L7OK && $answer == 200 ]]; then
      if [[ $failed:$downs != "$counted" ]]; then
        counted=$failed:$downs since=$now
      elif ((now - since >= steady)); then
        as_json <<<"$line"
        return
      fi
    else
      counted=""
    fi
    if ((now - begun > patience)); then
      as_json <<<"$line"
      return 1
    fi
    sleep 0.2
  done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
