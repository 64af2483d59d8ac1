#!/usr/bin/env bash
# Tells the node exporter what this host says of itself and of its role, as metrics in a file. What does not apply, or is not
# known, is left out. https://github.com/prometheus/node_exporter#textfile-collector
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

FILE=$METRICS_TEXTFILES/cluster.prom

# The names are Prometheus' own style: base units, and the unit at the end.
# https://prometheus.io/docs/practices/naming/
/opt/cluster/scripts/host/status.sh | jq --raw-output '
  def number: if . == true then 1 elif . == false then 0 else . end;
  def metric(name; value): value | number | select(type == "number") | "# TYPE \(name) gauge", "\(name) \(.)";
  def is(value): . == value;
  metric("cluster_status_timestamp_seconds"; now | floor),
  metric("cluster_converged"; .converged),
  metric("cluster_failed_units"; .failedUnits | length),
  metric("cluster_clock_synchronized"; .clock | if . == null then null else .isSynchronized end),
  metric("cluster_clock_offset_seconds"; .clock | if . == null then null else .offsetSeconds end),
  metric("cluster_reboot_required"; .updates | if . == null then null else .rebootRequired end),
  metric("cluster_pending_upgrades"; .updates | if . == null then null else (.packages | length) end),
  if .role == "load-balancer" then
    (.tls.certificate // empty |
      metric("cluster_certificate_valid_from_seconds"; .validFrom),
      metric("cluster_certificate_valid_until_seconds"; .validUntil)),
    (.pair // empty |
      metric("cluster_pair_holds"; .holds),
      metric("cluster_pair_obstacle"; .obstacle != null))
  elif .role == "web" then
    metric("cluster_app_healthy"; .healthy),
    metric("cluster_app_running_seconds"; .runningSeconds)
  elif .role == "database" then
    metric("cluster_database_agent_answers"; .agentAnswers),
    (select(.agentAnswers) |
      metric("cluster_database_open"; .writability | is("open")),
      metric("cluster_database_term"; .term),
      metric("cluster_database_replication_running"; .replication | is("running")),
      metric("cluster_database_semi_sync_replicas"; .semiSyncReplicas),
      metric("cluster_database_has_room"; .hasRoom)),
    metric("cluster_database_set_aside_files"; .setAside | length),
    metric("cluster_backup_dump_timestamp_seconds"; .backups.dump),
    metric("cluster_backup_logs_timestamp_seconds"; .backups.logs)
  else empty end' >"$FILE.$$"
chmod 0644 "$FILE.$$"
mv --force "$FILE.$$" "$FILE"
