#!/usr/bin/env bash
# Prints this monitor's status as JSON: which targets do not answer it, and which alerts it raises. null for what Prometheus
# does not say.
# https://prometheus.io/docs/prometheus/latest/querying/api/
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

# ask PORT PATH: prints the answer, or null.
ask() {
  curl --silent --fail --max-time 5 "http://127.0.0.1:$1$2" 2>/dev/null || printf null
}

ready=false
if [[ $(ask "$ALERTMANAGER_PORT" /-/ready) == OK ]]; then ready=true; fi
jq --null-input --compact-output --argjson ready "$ready" \
  --slurpfile targets <(ask "$PROMETHEUS_PORT" '/api/v1/targets?state=active') \
  --slurpfile alerts <(ask "$PROMETHEUS_PORT" /api/v1/alerts) \
  --arg prometheus "$(dpkg-query --show --showformat='${Version}' prometheus 2>/dev/null || true)" '
  {alertmanagerReady: $ready,
   targets: ($targets[0].data.activeTargets // null | if . == null then null else
     map({host: .labels.host, job: .labels.job, up: (.health == "up")}) end),
   alerts: ($alerts[0].data.alerts // null | if . == null then null else
     map(select(.state == "firing" and .labels.alertname != "Watchdog") |
       {name: .labels.alertname, severity: .labels.severity, host: (.labels.host // .labels.server // null),
        since: (.activeAt | sub("\\.[0-9]+"; "") | sub("Z?$"; "Z") | fromdateiso8601? // null), summary: .annotations.summary}) end),
   versions: {prometheus: $prometheus}}'
