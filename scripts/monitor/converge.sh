#!/usr/bin/env bash
# Converges a monitor: Prometheus and Alertmanager, with their declared configuration.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

PROMETHEUS=(/etc/prometheus/cluster.yml /etc/prometheus/cluster-rules.yml)
ALERTMANAGER=(/etc/prometheus/cluster-alerts.yml)
DROP_IN=service.d/cluster.conf

# keep_running SERVICE CONFIGURATION...: with its drop-in, a change of which needs a restart.
keep_running() {
  local unit=$1
  if changed "$unit-unit" "/etc/systemd/system/$unit.$DROP_IN"; then
    # A package starts it with a configuration of its own.
    systemctl restart --no-block "$unit.service"
    mark "$unit-unit" "/etc/systemd/system/$unit.$DROP_IN"
    mark "$@"
  else
    keep_serving "$@"
  fi
}

enable_units
promtool check config --lint=none "${PROMETHEUS[0]}" >/dev/null || fail "Prometheus rejects its configuration (see above)"
amtool check-config "${ALERTMANAGER[0]}" >/dev/null || fail "Alertmanager rejects its configuration (see above)"
keep_running prometheus "${PROMETHEUS[@]}"
keep_running prometheus-alertmanager "${ALERTMANAGER[@]}"
