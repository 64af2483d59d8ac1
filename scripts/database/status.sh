#!/usr/bin/env bash
# Prints what this database host is, as JSON: what the health port says, asked anew, and what only an
# operator wants to know.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"

set_aside=()
if [[ -d $SET_ASIDE ]]; then mapfile -t set_aside < <(find "$SET_ASIDE" -name '*.sql' | sort); fi
observe
look_for_room
jq --null-input --compact-output \
  --argjson state "$STATE" \
  --arg mysql "$(mysqld --version | sed 's/.*Ver \([^ ]*\).*/\1/')" \
  --argjson held "$([[ $own_held == held ]] && echo true || echo false)" \
  --arg space "$own_space" \
  --argjson answers "$(printf '{"primary":%s,"replica":%s,"readable":%s}' "${STATUSES[@]}")" \
  --arg free "$(df --output=avail -BM "$DATA_VOLUME" | tail -n 1 | tr -dc 0-9)" \
  --arg durability "$DATABASE_DURABILITY" \
  '$state + {held: $held, hasRoom: ($space == "room"), freeMebibytes: ($free | tonumber),
    answers: $answers, durability: $durability, setAside: $ARGS.positional, versions: {mysql: $mysql}}' \
  --args "${set_aside[@]}"
