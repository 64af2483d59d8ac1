#!/usr/bin/env bash
# Publishes a cluster with two load balancers on this machine: a container that does nothing but forward a port of this
# machine's 127.0.0.1 to the floating address, whoever holds it. It runs a single process and no init system.
#
# The engine's own forwarding ends at that process, which always accepts: the engine connects for one visitor after the
# other, and while a load balancer is silent, TCP repeats an attempt after 1, 2, 4, 8, ... seconds. Until such an attempt
# had succeeded, no visitor was served, up to 70 s after the other load balancer had taken over. HAProxy connects for each
# visitor at once, and makes a new attempt every half second.
#
# Facts: DWI_PROJECT, DWI_HOST; DWI_BRIDGE, the cluster's network; DWI_ADDRESS (address/prefix); those that identify the
# image (image.sh); DWI_LOCAL_PORT; DWI_TARGET (address:port); DWI_BEFORE, the host that publishes a cluster with one load
# balancer.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

# Where the container itself listens.
INSIDE=127.0.0.1:80

LISTEN=tcp:127.0.0.1:$DWI_LOCAL_PORT
CONNECT=tcp:$INSIDE

state() { incus list --format csv --columns s "^$DWI_HOST\$"; }

setting() { incus config device get "$DWI_HOST" "$1" "$2" 2>/dev/null || true; }

# shellcheck source=scripts/local/publication.sh
source "$HERE/publication.sh"

configuration() {
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

listen visitors
  bind $INSIDE
  server floating-address $DWI_TARGET
CONFIGURATION
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
  if [[ $(state) == RUNNING ]]; then incus stop --force "$DWI_HOST"; fi
  configuration | incus file push --quiet - "$DWI_HOST/etc/haproxy/haproxy.cfg"
fi
[[ $(state) == RUNNING ]] || incus start "$DWI_HOST"
if [[ $(setting publication listen) != "$LISTEN" || $(setting publication connect) != "$CONNECT" ]]; then
  take_publication "$DWI_BEFORE" "$DWI_HOST"
fi
end_work
say "$DWI_HOST: forwards 127.0.0.1:$DWI_LOCAL_PORT to $DWI_TARGET"
