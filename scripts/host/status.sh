#!/usr/bin/env bash
# Prints what this host is, as one line of JSON: what is true of every host, and what its role says.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

version_of() {
  dpkg-query --show --showformat='${Version}' "$1" 2>/dev/null || true
}

# Not as an argument: of the transactions of a database there may be more than one argument holds.
own=$("/opt/cluster/scripts/$HOST_ROLE/status.sh")
etcd=null
if [[ -n ${ETCD_DIRECTORY:-} ]]; then etcd=$(/opt/cluster/scripts/etcd/status.sh); fi
# A package manager that is broken keeps nobody from seeing the rest.
updates=$("$(dirname -- "$0")/updates.sh" || echo null)
rebooting=false
if [[ -e $REBOOTING ]]; then rebooting=true; fi
read -r uptime _ </proc/uptime
jq --null-input --compact-output \
  --arg host "$HOST_NAME" --arg role "$HOST_ROLE" --arg address "$HOST_ADDRESS" \
  --arg uptime "${uptime%%.*}" --arg scripts "$SCRIPTS" --arg haproxy "$(version_of haproxy)" \
  --arg converged "$(systemctl is-active cluster-converge.service || true)" \
  --arg failed "$(systemctl list-units --failed --plain --no-legend | awk '{ print $1 }')" \
  --argjson etcd "$etcd" --argjson updates "$updates" --argjson rebooting "$rebooting" \
  --slurpfile own <(printf '%s' "$own") \
  '{host: $host, role: $role, address: $address, uptimeSeconds: ($uptime | tonumber),
    converged: ($converged == "active"), failedUnits: ($failed | split("\n") | map(select(. != ""))),
    scripts: $scripts, updates: $updates, etcd: $etcd, rebooting: $rebooting} + $own[0] + {versions: ({haproxy: $haproxy} + ($own[0].versions // {}))}'
