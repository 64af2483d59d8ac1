#!/usr/bin/env bash
# After a reboot of the machine: runs the engine and the hosts of a cluster again. A host that is
# gone altogether is noted, so that the next deploy makes it anew.
#
# Facts: DWI_PROJECT; DWI_HOSTS, the names of all hosts.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
[[ -n $(command -v incus) ]] || exit 0
bash "$HERE/engine.sh" start
use_project default
exists incus project show "$DWI_PROJECT" || exit 0
use_project "$DWI_PROJECT"

mark_missing() {
  mkdir -p "$NOTES/$DWI_PROJECT"
  printf 'missing %s' "$EPOCHREALTIME" >"$NOTES/$DWI_PROJECT/$1"
}

states=$(incus list --format csv --columns ns)
for host in $DWI_HOSTS; do
  case $(awk -F, -v host="$host" '$1 == host { print $2 }' <<<"$states") in
    RUNNING) ;;
    "")
      say "$host: not there; the deploy will make it"
      mark_missing "$host"
      ;;
    *)
      say "$host: starting"
      incus start "$host"
      ;;
  esac
done
