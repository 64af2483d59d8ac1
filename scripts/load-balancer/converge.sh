#!/usr/bin/env bash
# Runs HAProxy with its declared configuration. An invalid configuration is never loaded: the running process keeps the
# current one. One of two load balancers hands the visitors' address over before it changes anything.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
# shellcheck source=visitors.sh
source /opt/cluster/scripts/load-balancer/visitors.sh
# shellcheck source=quic.sh
source /opt/cluster/scripts/load-balancer/quic.sh
# shellcheck source=pair.sh
source /opt/cluster/scripts/load-balancer/pair.sh

HAPROXY=/etc/haproxy/haproxy.cfg
KEEPALIVED=/etc/keepalived/keepalived.conf
DROP_IN=service.d/cluster.conf
SILENCE=cluster-silence.service
CLAIMS=cluster-visitors-address.service
PEER=cluster-load-balancer-peer.socket
CERTIFICATE=cluster-visitors-certificate.timer

# name_interface: tells keepalived on which network interface this host has its address.
name_interface() {
  local interface
  interface=$(ip -oneline -4 address show to "$HOST_ADDRESS/32" | awk '{ print $2; exit }')
  [[ -n $interface ]] || fail "no network interface has the address $HOST_ADDRESS"
  if [[ ! -e $PAIR_INTERFACE || $(<"$PAIR_INTERFACE") != "interface $interface" ]]; then
    printf 'interface %s\n' "$interface" >"$PAIR_INTERFACE"
  fi
}

# This load balancer is the only one, and may have been one of two.
end_pair() {
  if systemctl --quiet is-enabled keepalived.service 2>/dev/null && [[ -e /etc/systemd/system/keepalived.$DROP_IN ]]; then
    rm --force "/etc/systemd/system/keepalived.$DROP_IN" "/etc/systemd/system/haproxy.$DROP_IN" "$KEEPALIVED"
    systemctl daemon-reload
    systemctl disable --quiet --now keepalived.service "$CLAIMS" "$PEER"
    # It is not part of this host's firewall any more.
    nft delete table inet visitors 2>/dev/null || true
  fi
}

has_tls() { [[ -n ${TLS_NAMES:-} ]]; }

# Visitors cannot use TLS, and may have been able to before.
end_tls() {
  if systemctl --quiet is-enabled "$CERTIFICATE" 2>/dev/null; then
    systemctl disable --quiet --now "$CERTIFICATE"
    rm --recursive --force "${VISITORS_CERTIFICATE%/*}"
  fi
}

main() {
  enable_units
  # Only the version of the format: no state yet.
  [[ -s $SERVER_STATE ]] || printf '1\n' >"$SERVER_STATE"
  # HAProxy does not start without the certificate.
  if has_tls; then /opt/cluster/scripts/load-balancer/visitors-certificate.sh; fi
  write_quic_configuration
  haproxy -c -q -f "$HAPROXY" -f "$QUIC_CONFIGURATION"
  if is_pair; then
    name_interface
    # keepalived watches a file there.
    mkdir --parents "$PAIR_RUN"
    keepalived --config-test --use-file "$KEEPALIVED" || fail "keepalived rejects its configuration (see above)"
    # The other one asks before its HAProxy starts.
    systemctl start "$PEER"
  fi
  if systemctl --quiet is-active haproxy.service; then
    if is_pair && { changed haproxy "$HAPROXY" "$QUIC_CONFIGURATION" || changed keepalived "$KEEPALIVED"; } && holds; then
      # Without the other one, a reload still drops no request.
      /opt/cluster/scripts/load-balancer/hand-over.sh begin || true
    fi
    save_server_state || log "the state of the web servers could not be saved: HAProxy starts with all of them ready"
  fi
  keep_serving haproxy "$HAPROXY" "$QUIC_CONFIGURATION"
  # Its script and its facts may have changed.
  systemctl restart --no-block "$SILENCE"
  if has_tls; then
    systemctl start --no-block "$CERTIFICATE"
    # An authority can check only an HAProxy that runs.
    if is_to_be_trusted; then systemctl restart --no-block "${CERTIFICATE%.timer}.service"; fi
  else
    end_tls
  fi
  if is_pair; then
    keep_serving keepalived "$KEEPALIVED"
    systemctl restart --no-block "$CLAIMS"
    # Also if an earlier attempt failed after it had handed over.
    if has_handed_over; then /opt/cluster/scripts/load-balancer/hand-over.sh end; fi
  else
    end_pair
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; exit; fi
