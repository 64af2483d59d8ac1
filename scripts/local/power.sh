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

# kill_processes HOST: the engine lets a frozen host run on for a moment when it ends it. A primary would acknowledge writes
# in that moment, perhaps without a second copy. A process that was killed while it was frozen runs no further.
kill_processes() {
  local processes
  while read -r processes; do
    xargs --no-run-if-empty kill -KILL <"$processes" 2>/dev/null || true
  done < <(find /sys/fs/cgroup -path "*/lxc.payload.${DWI_PROJECT}_$1/*" -name cgroup.procs)
}

stop() {
  local state
  state=$(incus list --format csv --columns s "^$1\$")
  if [[ $state == STOPPED ]]; then return; fi
  if [[ $state == FROZEN ]]; then kill_processes "$1"; fi
  incus stop --force "$1"
}

case ${1:-} in
  list) list ;;
  stop) stop "$2" ;;
  *) fail "unknown command: ${1:-none}; there are list, stop" ;;
esac
