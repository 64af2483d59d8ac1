#!/usr/bin/env bash
# Publishes a cluster with two load balancers on this machine: a container that does nothing but forward a port of this
# machine's 127.0.0.1 to the floating address, whoever holds it. It runs a single process and no init system.
#
# Facts: DWI_PROJECT, DWI_HOST; DWI_BRIDGE, the cluster's network; DWI_ADDRESS (address/prefix); those that identify the
# image (image.sh); DWI_LOCAL_PORT; DWI_TARGET (address:port); DWI_BEFORE, the host that publishes a cluster with one load
# balancer.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

LISTEN=tcp:127.0.0.1:$DWI_LOCAL_PORT
CONNECT=tcp:$DWI_TARGET

setting() { incus config device get "$DWI_HOST" "$1" "$2" 2>/dev/null || true; }

make_container() {
  {
    printf 'config:\n  limits.memory: 64MiB\n'
    # The process needs no more than the address that the engine gives to the interface.
    printf '  raw.lxc: |\n'
    printf '    lxc.init.cmd = /usr/bin/sleep infinity\n'
    printf '    lxc.net.0.ipv4.address = %s\n' "$DWI_ADDRESS"
    printf 'devices:\n'
    printf '  root: { type: disk, path: /, pool: %s }\n' "$POOL"
    printf '  eth0: { type: nic, name: eth0, network: %s }\n' "$DWI_BRIDGE"
  } | incus launch --quiet --no-profiles "$(image_alias)" "$DWI_HOST"
}

begin_work "$DWI_HOST"
bash "$HERE/engine.sh" start
if ! exists incus config show "$DWI_HOST"; then make_container; fi
[[ $(incus list --format csv --columns s "^$DWI_HOST\$") == RUNNING ]] || incus start "$DWI_HOST"
if [[ $(setting publication listen) != "$LISTEN" || $(setting publication connect) != "$CONNECT" ]]; then
  if exists incus config device get "$DWI_BEFORE" publication listen; then
    incus config device remove --quiet "$DWI_BEFORE" publication
  fi
  if exists incus config device get "$DWI_HOST" publication listen; then
    incus config device remove --quiet "$DWI_HOST" publication
  fi
  check_port
  incus config device add --quiet "$DWI_HOST" publication proxy listen="$LISTEN" connect="$CONNECT"
fi
end_work
say "$DWI_HOST: forwards 127.0.0.1:$DWI_LOCAL_PORT to $DWI_TARGET"
