#!/usr/bin/env bash
# The parts of an upgrade of this host, in the order in which an operator has them done. Each may be interrupted and
# repeated.
#
#   upgrade.sh begin      notes that an upgrade is under way
#   upgrade.sh packages   installs what is newer, and starts nothing anew
#   upgrade.sh reload     has what can do so without a break run what is installed
#   upgrade.sh reboot     reboots, a second after it has answered
#   upgrade.sh end        notes that the upgrade has ended
#
# The host is out of service while packages are installed, or nothing of it is started anew: their own scripts would
# restart whatever they like.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

POLICY=/usr/sbin/policy-rc.d
# The platform interface removes a file with this line, should this script not come to it.
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

# reload: HAProxy's master takes over the new program with its connections. etcd is restarted: the other voters go on.
reload() {
  if [[ $HOST_ROLE == load-balancer ]]; then
    haproxy -c -q -f /etc/haproxy/haproxy.cfg >&2 || fail "the new HAProxy refuses its configuration; the old one goes on"
    systemctl reload haproxy.service
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
  *) fail "usage: upgrade.sh begin, packages, reload, reboot or end" ;;
esac
