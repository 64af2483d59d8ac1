#!/usr/bin/env bash
# Prints what this database host is, as JSON: what the health port says, asked anew, and what only an
# operator wants to know.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"
# shellcheck source=engines.sh
source "$HERE/engines.sh"
# shellcheck source=repository.sh
source "$HERE/repository.sh"

patiently gather_own
describe
look_for_room
ask 1 "SELECT @@version;" || true
version=${ROWS[0]:-unknown}
look_for_other_tables || true
free=$(df --output=avail -BM "$DATA_VOLUME")
set_aside=()
if [[ -d $SET_ASIDE ]]; then set_aside=("$SET_ASIDE"/*.sql); fi
if [[ ! -e ${set_aside[0]:-} ]]; then set_aside=(); fi
dumped=null archived=null
if [[ -s $BACKUP_STAMPS/dump ]]; then dumped=$(<"$BACKUP_STAMPS/dump"); fi
if [[ -s $BACKUP_STAMPS/logs ]]; then archived=$(<"$BACKUP_STAMPS/logs"); fi

jq --null-input --compact-output \
  --slurpfile state <(printf '%s' "$STATE") --arg version "$version" --arg held "$own_held" \
  --arg space "$own_space" --arg free "${free//[^0-9]/}" --arg durability "$DATABASE_DURABILITY" \
  --argjson backups "{\"dump\":$dumped,\"logs\":$archived}" \
  --argjson answers "{\"primary\":${STATUSES[0]},\"replica\":${STATUSES[1]},\"readable\":${STATUSES[2]}}" \
  --argjson tables "$(printf '%s\0' "${other_tables[@]}" | jq --raw-input --slurp 'split("\u0000") | map(select(. != ""))')" \
  '$state[0] + {role: "database", held: ($held == "held"), hasRoom: ($space == "room"),
    freeMebibytes: ($free | tonumber), answers: $answers, durability: $durability,
    setAside: $ARGS.positional, otherTables: $tables, backups: $backups, versions: {mysql: $version}}' \
  --args "${set_aside[@]}"
