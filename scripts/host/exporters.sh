#!/usr/bin/env bash
# Runs the exporters of metrics that the facts declare, and ends the others: there may be no monitor any more. The role's
# steps have enabled the units.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

TIMER=cluster-metrics.timer

for exporter in prometheus-{node,nginx,mysqld}-exporter; do
  drop_in=/etc/systemd/system/$exporter.service.d/cluster.conf
  if [[ " $EXPORTERS " == *" $exporter "* ]]; then
    # Its package starts it with flags of its own.
    if changed "$exporter" "$drop_in" || ! systemctl --quiet is-active "$exporter.service"; then
      systemctl restart --no-block "$exporter.service"
      mark "$exporter" "$drop_in"
    fi
  elif systemctl --quiet is-enabled "$exporter.service" 2>/dev/null; then
    systemctl disable --quiet --now "$exporter.service"
    unmark "$exporter"
  fi
done
if [[ -n $EXPORTERS ]]; then
  systemctl start --no-block "$TIMER"
elif systemctl --quiet is-enabled "$TIMER" 2>/dev/null; then
  systemctl disable --quiet --now "$TIMER"
fi
