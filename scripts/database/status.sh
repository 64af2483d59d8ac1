#!/usr/bin/env bash
# Prints this database host's status as JSON: its agent's report, and the contents of the data volume.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=repository.sh
source "$HERE/repository.sh"

# If the agent does not answer, the operator is told so.
said=$("$HERE/agent.sh" status) || said=null
free=$(df --output=avail -BM "$DATABASE_VOLUME")
set_aside=()
if [[ -d $SET_ASIDE ]]; then set_aside=("$SET_ASIDE"/*.sql); fi
if [[ ! -e ${set_aside[0]:-} ]]; then set_aside=(); fi
dumped=null archived=null
if [[ -s $BACKUP_STAMPS/dump ]]; then dumped=$(<"$BACKUP_STAMPS/dump"); fi
if [[ -s $BACKUP_STAMPS/logs ]]; then archived=$(<"$BACKUP_STAMPS/logs"); fi

jq --null-input --compact-output --slurpfile said <(printf '%s' "$said") --arg free "${free//[^0-9]/}" \
  --argjson backups "{\"dump\":$dumped,\"logs\":$archived}" \
  '{role: "database", agentAnswers: ($said[0] != null), freeMebibytes: ($free | tonumber), setAside: $ARGS.positional,
    backups: $backups} + ($said[0] // {state: "unknown", writability: "closed", term: 0, primary: "-", source: "-",
    replication: "stopped", lagSeconds: null, semiSync: "off", semiSyncReplicas: 0, decision: "wait-for-server",
    gtidExecuted: "", gtidReceived: "", gtidPurged: "", caughtUpWith: "-", serverUuid: "", since: 0, held: false, hasRoom: true, durability: "'"$DATABASE_DURABILITY"'",
    answers: {primary: 503, replica: 503, readable: 503}, otherTables: [], failure: null, versions: {}})' \
  --args "${set_aside[@]}"
