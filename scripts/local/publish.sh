#!/usr/bin/env bash
# Publishes a cluster with two load balancers on this machine: a container that does nothing but forward ports of this
# machine's 127.0.0.1 to the floating address, whoever holds it. It runs a single process and no init system.
#
# The engine's own forwarding ends at that process, which always accepts: the engine connects for one visitor after the
# other, and while a load balancer is silent, TCP repeats an attempt after 1, 2, 4, 8, ... seconds. Until such an attempt
# had succeeded, no visitor was served, up to 70 s after the other load balancer had taken over. HAProxy connects for each
# visitor at once, and makes a new attempt every half second.
#
# Facts: DWI_PROJECT, DWI_HOST; DWI_BRIDGE, the cluster's network; DWI_ADDRESS (address/prefix); those that identify the
# image (image.sh); DWI_PUBLISHED (publication.sh); DWI_FLOATING_ADDRESS; DWI_BEFORE, the host that publishes a cluster
# with one load balancer.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

state() { incus list --format csv --columns s "^$DWI_HOST\$"; }

# shellcheck source=scripts/local/publication.sh
source "$HERE/publication.sh"

# It ends no TLS: the load balancers do.
configuration() {
  local published port
  cat <<CONFIGURATION
global
  log stdout format raw daemon notice
  maxconn 4000
  user haproxy
  group haproxy

defaults
  mode tcp
  log global
  timeout connect 500ms
  # 15 s, for new load balancers that are still booting.
  retries 30
  # The load balancers decide how long a connection may be idle.
  timeout client 1d
  timeout server 1d
  timeout client-fin 30s
  timeout server-fin 30s
CONFIGURATION
  for published in $DWI_PUBLISHED; do
    port=${published#*:}
    printf '\nlisten port-%s\n  bind 127.0.0.1:%s\n  server floating-address %s:%s\n' \
      "$port" "$port" "$DWI_FLOATING_ADDRESS" "$port"
  done
}

# The first process. A kernel that was told whose an address is ignores other news for a second (locktime, arp(7)): not here,
# where nobody but the load balancers says so.
first_process() {
  cat <<'SCRIPT'
#!/bin/sh
ip ntable change name arp_cache dev eth0 locktime 0
exec haproxy -db -f /etc/haproxy/haproxy.cfg
SCRIPT
}

# The container, as the engine is told of it. The process needs no more than the address that the engine gives to the
# interface.
container() {
  cat <<CONTAINER
config:
  limits.memory: 128MiB
  raw.lxc: |
    lxc.init.cmd = /usr/local/sbin/forward
    lxc.net.0.ipv4.address = $DWI_ADDRESS
devices:
  root: { type: disk, path: /, pool: $POOL }
  eth0: { type: nic, name: eth0, network: $DWI_BRIDGE }
CONTAINER
}

make_container() {
  container | incus create --quiet --no-profiles "$(image_alias)" "$DWI_HOST"
  first_process | incus file push --quiet --mode=0755 - "$DWI_HOST/usr/local/sbin/forward"
}

# Until then the engine would accept connections and close them again.
await_listening() {
  local published attempt
  for published in $DWI_PUBLISHED; do
    for attempt in {1..50}; do
      if incus exec "$DWI_HOST" -- bash -c ": </dev/tcp/127.0.0.1/${published#*:}" 2>/dev/null </dev/null; then break; fi
      ((attempt < 50)) || fail "HAProxy in $DWI_HOST does not listen on port ${published#*:}"
      sleep 0.1
    done
  done
}

begin_work "$DWI_HOST"
bash "$HERE/engine.sh" start
# A container of an earlier recipe, or one that was interrupted before it was complete. A newer image needs no other one.
made=$({ container && first_process; } | sha256sum)
if [[ $(incus config get "$DWI_HOST" user.made 2>/dev/null) != "$made" ]]; then
  if exists incus config show "$DWI_HOST"; then incus delete --force "$DWI_HOST"; fi
  make_container
  incus config set "$DWI_HOST" user.made="$made"
fi
if [[ $(incus file pull --quiet "$DWI_HOST/etc/haproxy/haproxy.cfg" - 2>/dev/null) != "$(configuration)" ]]; then
  if [[ $(state) == RUNNING ]]; then
    trap let_visitors_in EXIT
    hold_back_visitors
    wait_for_visitors
    incus stop --force "$DWI_HOST"
  fi
  configuration | incus file push --quiet - "$DWI_HOST/etc/haproxy/haproxy.cfg"
fi
[[ $(state) == RUNNING ]] || incus start "$DWI_HOST"
await_listening
publish "$DWI_BEFORE"
let_visitors_in
trap - EXIT
end_work
say "$DWI_HOST: forwards 127.0.0.1:$(joined ", ") to $DWI_FLOATING_ADDRESS"
