#!/usr/bin/env bash
# Shows and changes whether hosts run.
#
#   power.sh list        prints one line for each host: its name, then running, stopped or unknown
#   power.sh stop HOST   stops a host immediately, without a shutdown
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
  *) fail "unknown command: ${1:-none}; there are list, stop" ;;
esac
