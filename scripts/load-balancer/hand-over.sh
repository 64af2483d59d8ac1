#!/usr/bin/env bash
# Hands the visitors' address over to the other load balancer, so that something can be done to this one.
#
#   hand-over.sh begin   returns once the other load balancer holds it, or if it does so already
#   hand-over.sh end     this one may hold it again; it does not take it back from the other one
#
# New connections are held back first: their clients repeat the first packet a second later, and then reach the other
# load balancer. Requests in flight are answered. Fails if the other one cannot take over: then this one keeps the address.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
# shellcheck source=pair.sh
source /opt/cluster/scripts/load-balancer/pair.sh

# How long the other load balancer may be about to become able to take over, in milliseconds.
PATIENCE=10000
# How long the TLS handshake and the request of a connection that was accepted may take to arrive, in seconds: until then
# HAProxy does not count it among those in flight.
ARRIVING=0.3
# How long requests in flight may take, in milliseconds. Clients notice that they are held back after a second.
IN_FLIGHT=3000
# How long the other load balancer may take to take over, in milliseconds.
TAKING=3000

# The table of nftables that holds new connections back.
HOLDING_BACK="inet hand-over"

# peer_is_ready: whether the other load balancer can take over; sets `why` if not.
peer_is_ready() {
  local answer
  if ! answer=$(ask_peer); then
    why="$PEER_NAME does not answer"
    return 1
  fi
  why=$(told obstacle "$answer")
  if [[ -n $why ]]; then
    why="$PEER_NAME: $why"
  elif [[ $(told up "$answer") == 0 ]]; then
    why="$PEER_NAME sends no web server requests"
  else
    return 0
  fi
  return 1
}

peer_holds() {
  local answer
  answer=$(ask_peer) && [[ $(told holds "$answer") == yes ]]
}

# wait_until MILLISECONDS COMMAND: fails if the command has not succeeded in that time.
wait_until() {
  local limit=$1 begun now
  shift
  milliseconds
  begun=$now
  until "$@"; do
    milliseconds
    ((now - begun < limit)) || return
    sleep 0.1
  done
}

hold_back_new_connections() {
  nft --file - <<RULES
table $HOLDING_BACK
delete table $HOLDING_BACK
table $HOLDING_BACK {
  chain input {
    type filter hook input priority filter - 1; policy accept;
    iif != "lo" meta l4proto { tcp, udp } th dport { ${VISITORS_PORTS// /, } } ct state new drop
  }
}
RULES
}

# Also where it is not there.
let_connections_in() {
  nft --file - <<RULES
table $HOLDING_BACK
delete table $HOLDING_BACK
RULES
}

nothing_in_flight() {
  ! ask_haproxy "show sess" | grep --quiet --fixed-strings ' fe=site '
}

take_back() {
  printf '0\n' >"$PAIR_HAND_OVER"
  let_connections_in
}

begin() {
  local why=""
  if ! holds; then return; fi
  wait_until "$PATIENCE" peer_is_ready || fail "this load balancer keeps the visitors' address: $why"
  trap take_back EXIT
  hold_back_new_connections
  sleep "$ARRIVING"
  wait_until "$IN_FLIGHT" nothing_in_flight ||
    log "requests are still in flight after $((IN_FLIGHT / 1000)) s; they fail"
  printf -- '-254\n' >"$PAIR_HAND_OVER"
  wait_until "$TAKING" peer_holds ||
    fail "$PEER_NAME has not taken the visitors' address within $((TAKING / 1000)) s: this load balancer takes it back"
  trap - EXIT
  let_connections_in
  log "$PEER_NAME holds the visitors' address"
}

main() {
  is_pair || return 0
  case ${1:-}:$# in
    begin:1) begin ;;
    end:1) printf '0\n' >"$PAIR_HAND_OVER" ;;
    *) fail "usage: hand-over.sh begin|end" ;;
  esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
