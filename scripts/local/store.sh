#!/usr/bin/env bash
# What the hosts of a cluster may fetch from this machine.
#
#   store.sh put NAME FILE           puts a file there
#   store.sh releases                prints the releases of the app, the one that is to run first; fails where that
#                                    cannot be known
#   store.sh set-releases SHA256...  says so
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
      fail "the list of releases cannot be read" "a deploy makes it where it is missing"
    ;;
  set-releases) share release <(printf '%s ' "${@:2}") ;;
  *) fail "unknown command: ${1:-none}; known are put, releases, set-releases" ;;
esac
