#!/usr/bin/env bash
# The files that the hosts of a cluster can fetch from this machine.
#
#   store.sh put NAME FILE           adds a file
#   store.sh releases                prints the list of releases of the app, the one to run first; fails if it cannot be
#                                    read
#   store.sh set-releases SHA256...  writes that list
#
# Facts: DWI_PROJECT.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"

case ${1:-} in
  put)
    share "$2" "$3"
    forget_old "${2%%/*}"
    ;;
  releases)
    cat "$SHARED/$DWI_PROJECT/release" ||
      fail "the list of releases cannot be read" "remedy: if it is missing, a deploy creates it"
    ;;
  set-releases) share release <(printf '%s ' "${@:2}") ;;
  *) fail "unknown command: ${1:-none}; there are put, releases, set-releases" ;;
esac
