#!/usr/bin/env bash
# Brings etcd to its declared state: its units, and by membership.sh this host's place among the members. Waits for
# nothing.
#
# A change of etcd's configuration takes effect when etcd next starts: all hosts converge at the same time, and restarted
# at the same time there would be no majority.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

MEMBERSHIP=cluster-etcd-membership

if [[ -n $ETCD_ENDPOINTS ]] || has_data; then
  # Where failover has become manual, the facts do not declare them any more.
  if [[ -z $ETCD_ENDPOINTS ]]; then enable_at_boot "$MEMBERSHIP".{service,timer}; fi
  systemctl --no-block start "$MEMBERSHIP".{service,timer}
elif has_volume && systemctl --quiet is-enabled "$MEMBERSHIP.timer" 2>/dev/null; then
  systemctl --quiet disable --now "$MEMBERSHIP".{service,timer}
fi
