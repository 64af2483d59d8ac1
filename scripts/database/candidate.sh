#!/usr/bin/env bash
# Prints, as one line of JSON, what a decision about the primary needs to know of this host: its state, and what
# speaks against making it the primary. Writes may be waiting for the answer, so it starts few programs.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=promotion.sh
source "$HERE/promotion.sh"
# shellcheck source=engines.sh
source "$HERE/engines.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"

hurry
patiently gather
look_for_other_tables || true
describe
held=false objections=""
if [[ $own_held == held ]]; then held=true; fi
while IFS=$'\t' read -r override host sentence; do
  printf -v objections '%s,{"override":"%s","host":"%s","sentence":"%s"}' \
    "$objections" "$override" "$host" "$sentence"
done < <(
  own_objections -
  table_objections
)
printf '%s,"held":%s,"objections":[%s]}\n' "${STATE%\}}" "$held" "${objections#,}"
