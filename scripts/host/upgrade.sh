#!/usr/bin/env bash
# The steps of an upgrade of this host, in the order in which the operator's command calls them. Each can be interrupted
# and repeated.
#
#   upgrade.sh begin      records that an upgrade is in progress
#   upgrade.sh packages   upgrades packages, without restarting any service
#   upgrade.sh reload     makes the services that can do so without interruption switch to the new programs
#   upgrade.sh reboot     reboots a second later, so that this command can return first
#   upgrade.sh end        records that the upgrade has finished
#
# Maintainer scripts may not start or restart services: they would do so at a moment of their own choosing.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

POLICY=/usr/sbin/policy-rc.d
# A file with this line is also removed by the platform interface, in case this script is killed first.
POLICY_MARK="# Written by the cluster while packages are being installed."

forbid_starts() {
  [[ ! -e $POLICY ]] || return 0
  trap 'rm --force "$POLICY"' EXIT
  printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
  chmod 0755 "$POLICY"
}

packages() {
  if grep --quiet --fixed-strings --line-regexp "$POLICY_MARK" "$POLICY" 2>/dev/null; then rm "$POLICY"; fi
  forbid_starts
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1
  dpkg --configure --pending >&2
  apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    --with-new-pkgs --no-install-recommends upgrade >&2 || fail "packages could not be installed"
  apt-get clean
}

# reload: HAProxy's master process re-executes the new program and keeps its connections; one of two load balancers hands
# the visitors' address over first. A reboot does so as well, when keepalived stops. etcd is restarted; the
# other voters continue without it.
reload() {
  if [[ $HOST_ROLE == load-balancer ]]; then
    haproxy -c -q -f /etc/haproxy/haproxy.cfg >&2 || fail "the new HAProxy rejects its configuration (see above); the old one keeps running"
    local handed=no
    if /opt/cluster/scripts/load-balancer/hand-over.sh begin; then handed=yes; fi
    systemctl reload haproxy.service
    if [[ $handed == yes ]]; then /opt/cluster/scripts/load-balancer/hand-over.sh end; fi
  fi
  if systemctl --quiet is-active cluster-etcd.service; then systemctl --no-block restart cluster-etcd.service; fi
}

reboot_soon() {
  mkdir --parents "${REBOOTING%/*}"
  touch "$REBOOTING"
  systemd-run --quiet --on-active=1 systemctl reboot
}

case ${1:-}:$# in
  begin:1) mkdir --parents "${UPGRADING%/*}" && touch "$UPGRADING" ;;
  packages:1) packages ;;
  reload:1) reload ;;
  reboot:1) reboot_soon ;;
  end:1) rm --force "$UPGRADING" ;;
  *) fail "usage: upgrade.sh begin|packages|reload|reboot|end" ;;
esac
