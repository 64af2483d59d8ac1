# shellcheck shell=bash
# Moves the publication of a cluster on this machine from one container to another one. Sourced by host.sh and publish.sh.
#
# Facts: DWI_HOST, the container that is to publish the cluster; DWI_LOCAL_PORT. LISTEN and CONNECT, as the engine has them.

# Tenths of a second that connections of visitors have to end.
DRAINING=30

HOLDING_BACK="inet dwi-${DWI_LOCAL_PORT:-}"

# A visitor whose attempt to connect gets no answer repeats it after a second; one that is refused does not.
hold_back_visitors() {
  exists command -v nft || return 0
  nft --file - <<RULES
table $HOLDING_BACK
delete table $HOLDING_BACK
table $HOLDING_BACK {
  chain input {
    type filter hook input priority filter - 1; policy accept;
    iif "lo" ip daddr 127.0.0.1 tcp dport $DWI_LOCAL_PORT tcp flags & (syn | ack) == syn drop
  }
}
RULES
}

let_visitors_in() {
  exists command -v nft || return 0
  nft --file - <<RULES
table $HOLDING_BACK
delete table $HOLDING_BACK
RULES
}

wait_for_visitors() {
  local tenth
  for ((tenth = 0; tenth < DRAINING; tenth++)); do
    [[ -n $(ss --no-header --tcp --numeric state established "sport = :$DWI_LOCAL_PORT") ]] || return 0
    sleep 0.1
  done
}

# take_publication FROM...: publishes the cluster by DWI_HOST, and no longer by these containers.
take_publication() {
  local from known=""
  for from in "$@"; do
    known+="$(incus config device get "$from" publication listen 2>/dev/null || true) "
  done
  [[ $known == *"$LISTEN "* ]] || check_port
  trap let_visitors_in EXIT
  hold_back_visitors
  wait_for_visitors
  for from in "$@"; do
    if exists incus config device get "$from" publication listen; then
      incus config device remove --quiet "$from" publication
    fi
  done
  incus config device add --quiet "$DWI_HOST" publication proxy listen="$LISTEN" connect="$CONNECT"
  let_visitors_in
  trap - EXIT
}
