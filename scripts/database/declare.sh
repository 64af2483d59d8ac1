#!/usr/bin/env bash
# Updates accounts, privileges and time zones to match the declaration, on the open primary: with ordinary transactions,
# which replicas replicate like any other. Writes nothing if everything matches.
#
#   declare.sh [--anew]   with --anew also if it was applied before
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=declared.sh
source "$HERE/declared.sh"

# recorded: prints the version that was last applied, or - if none was.
recorded() {
  ask 5 "SELECT COUNT(*) FROM information_schema.tables
    WHERE table_schema = 'cluster' AND table_name = 'declared';" || return
  if [[ ${ROWS[0]} == 1 ]]; then
    ask 5 "SELECT COALESCE(MAX(version), '-') FROM cluster.declared WHERE subject = 'accounts';" || return
    printf '%s' "${ROWS[0]}"
  else
    printf -- -
  fi
}

version=$(declared_version)
before=$(recorded) || fail "the server does not answer"
if [[ $before != "$version" || ${1:-} == --anew ]]; then
  log "updating accounts and privileges to match the declaration"
  statements=$(declaration live)
  printf '%s\n' "$statements $(record_declared "$version")" | sql 20 2>&1 | without_secrets >&2
fi
ask 5 "SELECT COUNT(*) FROM mysql.time_zone_name;" || fail "the server does not answer"
if [[ ${ROWS[0]} == 0 ]]; then
  log "loading the time zones"
  "$HERE/initialise.sh" --time-zones | sql 20 >&2
fi
