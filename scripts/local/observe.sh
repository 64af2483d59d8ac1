#!/usr/bin/env bash
# Prints the role that each database host reports, one line each: its name, then primary, replica or none.
#
# Facts: DWI_PROJECT; DWI_DATABASES, names with addresses: "database-1=10.90.2.4 ..."; DWI_PORT.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

for database in $DWI_DATABASES; do
  host=${database%%=*}
  observed=none
  for role in primary replica; do
    if exists incus exec --force-noninteractive "$host" -- \
      curl --fail --silent --max-time 3 "http://${database#*=}:$DWI_PORT/$role" </dev/null; then
      observed=$role
      break
    fi
  done
  printf '%s %s\n' "$host" "$observed"
done
