#!/usr/bin/env bash
# Prints this host's status as one line of JSON: the facts of every host, and those of its role.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

version_of() {
  dpkg-query --show --showformat='${Version}' "$1" 2>/dev/null || true
}

# Where there is no chrony, the machine of containers keeps the time. The fields of its report are those of chronyc(1),
# tracking: the fifth is the offset, the last one the state.
clock=null
if [[ -n $(command -v chronyc) ]]; then
  clock=$({ chronyc -c tracking 2>/dev/null || true; } | jq --raw-input --slurp --compact-output 'split(",") |
    {isSynchronized: ((.[13] // "") | startswith("Normal")), offsetSeconds: ((.[4] // "") | tonumber? // null)}')
fi

# Not passed as an argument: the GTID sets of a database may exceed the maximum length of one.
own=$("/opt/cluster/scripts/$HOST_ROLE/status.sh")
etcd=null
if [[ -n ${ETCD_DIRECTORY:-} ]]; then etcd=$(/opt/cluster/scripts/etcd/status.sh); fi
# If the package manager is broken, the rest of the status is still reported.
updates=$("$(dirname -- "$0")/updates.sh" || echo null)
rebooting=false
if [[ -e $REBOOTING ]]; then rebooting=true; fi
read -r uptime _ </proc/uptime
jq --null-input --compact-output \
  --arg host "$HOST_NAME" --arg role "$HOST_ROLE" --arg address "$HOST_ADDRESS" \
  --arg uptime "${uptime%%.*}" --arg scripts "$SCRIPTS" --arg haproxy "$(version_of haproxy)" \
  --arg converged "$(systemctl is-active cluster-converge.service || true)" \
  --arg failed "$(systemctl list-units --failed --plain --no-legend | awk '{ print $1 }')" \
  --argjson clock "$clock" --argjson etcd "$etcd" --argjson updates "$updates" --argjson rebooting "$rebooting" \
  --slurpfile own <(printf '%s' "$own") \
  '{host: $host, role: $role, address: $address, uptimeSeconds: ($uptime | tonumber),
    converged: ($converged == "active"), failedUnits: ($failed | split("\n") | map(select(. != ""))),
    clock: $clock, scripts: $scripts, updates: $updates, etcd: $etcd, rebooting: $rebooting} + $own[0] + {versions: ({haproxy: $haproxy} + ($own[0].versions // {}))}'
