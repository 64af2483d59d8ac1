#!/usr/bin/env bash
# Makes HAProxy start with what the other load balancer knows of the web servers: those that were drained while this one
# was away stay drained. If the other one does not answer, what this one knew last remains.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
# shellcheck source=pair.sh
source /opt/cluster/scripts/load-balancer/pair.sh

main() {
  local answer states
  is_pair || return 0
  answer=$(ask_peer) || {
    log "$PEER_NAME does not answer: HAProxy starts with what it knew last of the web servers"
    return 0
  }
  states=$(sed '1,/^servers$/d; /^end$/,$d' <<<"$answer")
  # The version of the format, the names of the columns, and at least one web server.
  if [[ $states != 1$'\n#'*$'\n'*" web "* ]]; then
    log "HAProxy on $PEER_NAME does not run"
    return 0
  fi
  printf '%s\n' "$states" >"$SERVER_STATE.peer"
  mv --force "$SERVER_STATE.peer" "$SERVER_STATE"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; exit; fi
