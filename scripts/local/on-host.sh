#!/usr/bin/env bash
# Runs a program on a host, as root.
#
#   on-host.sh PROGRAM [ARGUMENT]...
#
# Exits with the program's exit code, or with 69 if the host does not run or does not respond in time.
#
# Facts: DWI_PROJECT, DWI_HOST; DWI_SECONDS, the timeout.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

# EX_UNAVAILABLE of sysexits.h.
UNREACHABLE=69

status=0
timeout --kill-after=2 "$DWI_SECONDS" \
  incus exec --force-noninteractive "$DWI_HOST" -- "$@" </dev/null || status=$?
# timeout exits with 124, or with 137 after SIGKILL.
if ((status == 124 || status == 137)); then
  printf '%s did not answer within %s s\n' "$DWI_HOST" "$DWI_SECONDS" >&2
  exit "$UNREACHABLE"
fi
if ((status != 0)) && [[ $(incus list --format csv --columns s "^$DWI_HOST\$" 2>/dev/null) != RUNNING ]]; then
  exit "$UNREACHABLE"
fi
exit "$status"
