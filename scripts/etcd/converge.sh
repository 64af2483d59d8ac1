#!/usr/bin/env bash
# Brings etcd to its declared state: its units, and by membership.sh this host's place among the members. Waits for
# nothing.
#
# A change of etcd's configuration takes effect when etcd next starts: all hosts converge at the same time, and restarted
# at the same time there would be no majority.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

MEMBERSHIP=cluster-etcd-membership
PACKAGED=etcd.service

# The package enables a unit of its own.
if [[ -e /usr/lib/systemd/system/$PACKAGED && ! -L /etc/systemd/system/$PACKAGED ]]; then
  # Without a reload, which converge.sh of every host makes at its end.
  systemctl --quiet --no-reload mask "$PACKAGED"
  systemctl stop "$PACKAGED"
fi
if [[ -n $ETCD_ENDPOINTS ]] || has_data; then
  enable_at_boot "$MEMBERSHIP".{service,timer}
  if is_voter; then enable_at_boot "$UNIT"; fi
  systemctl --no-block start "$MEMBERSHIP".{service,timer}
elif has_volume && systemctl --quiet is-enabled "$MEMBERSHIP.timer" 2>/dev/null; then
  systemctl --quiet disable --now "$MEMBERSHIP".{service,timer}
fi
