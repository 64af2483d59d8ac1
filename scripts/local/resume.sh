#!/usr/bin/env bash
# Starts the engine and the hosts of a cluster again, after a reboot of the machine. A host that no longer exists is
# recorded, so that the next deploy creates it again.
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
      say "$host: does not exist; the deploy will create it"
      mark_missing "$host"
      ;;
    *)
      say "$host: starting"
      incus start "$host"
      ;;
  esac
done
