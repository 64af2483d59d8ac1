# shellcheck shell=bash
# What one of two load balancers knows of the visitors' address, and of the other load balancer.
#
# Needs host/lib.sh and servers.sh.

# is_pair: whether there are two load balancers.
is_pair() { [[ -n ${FLOATING_ADDRESS:-} ]]; }

# holds: whether this load balancer holds the visitors' address.
holds() {
  [[ -n $(ip -oneline -4 address show to "$FLOATING_ADDRESS/32") ]] && systemctl --quiet is-active keepalived.service
}

has_handed_over() {
  [[ -s $PAIR_HAND_OVER && $(<"$PAIR_HAND_OVER") != 0 ]]
}

# obstacle: prints why this load balancer could not take the address; nothing if it can.
obstacle() {
  if ! systemctl --quiet is-active keepalived.service; then
    printf 'keepalived does not run'
  elif has_handed_over; then
    printf 'it has handed the address over'
  elif ! servers >/dev/null 2>&1; then
    printf 'HAProxy does not answer'
  fi
}

# ask_peer: prints what the other load balancer tells (tell-peer.sh); fails if it does not answer.
ask_peer() {
  local answer
  answer=$(socat -T 2 -u "TCP:$PEER_ADDRESS:$PEER_PORT,connect-timeout=1" - 2>/dev/null) || return
  # Its last line, without which part of it is missing.
  [[ ${answer##*$'\n'} == end ]] || return
  printf '%s\n' "$answer"
}

# told KEY ANSWER: prints what the other load balancer told under a key.
told() {
  awk -v key="$1" '$1 == key { sub(/^[^ ]+ ?/, ""); print; exit }' <<<"$2"
}
