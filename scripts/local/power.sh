#!/usr/bin/env bash
# Whether hosts run.
#
#   power.sh list        a line each: its name, then running, stopped or unknown
#   power.sh stop HOST   stops it at once, whatever it is doing
#
# Facts: DWI_PROJECT.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"

list() {
  local name state
  while IFS=, read -r name state; do
    case $state in
      RUNNING) state=running ;;
      STOPPED) state=stopped ;;
      *) state=unknown ;;
    esac
    printf '%s %s\n' "$name" "$state"
  done < <(incus list --format csv --columns ns)
}

stop() {
  [[ $(incus list --format csv --columns s "^$1\$") != STOPPED ]] || return 0
  incus stop --force "$1"
}

case ${1:-} in
  list) list ;;
  stop) stop "$2" ;;
  *) fail "unknown command: ${1:-none}; known are list, stop" ;;
esac
