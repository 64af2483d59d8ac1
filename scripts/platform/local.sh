#!/usr/bin/env bash
# The platform interface of a host, implemented for an Incus container. The verbs are the same on every platform:
#
#   operator-access              ensures that operators can reach the host
#   install-packages PACKAGE...  ensures that the packages are installed
#   secret NAME                  prints a secret of the cluster
#   archive NAME FILE            fetches an archive: scripts/SHA256.tar.gz, releases/SHA256.tar.gz
#   release                      prints the releases of the app, the one to run first
#   data-volume DIRECTORY        ensures that the data volume is mounted
#   backup-repository            prints the location of the cluster's restic repository
#   user-data FILE               fetches the host's newest user-data
#
# A verb that fails prints one line that says what is missing; callers retry.

set -euo pipefail

# Incus's API for the container: it gives access to this host's own settings only.
SOCKET=/dev/incus/sock
# A folder of the machine that all hosts of the cluster can read.
SHARED=/srv/shared
# A folder of the machine that database hosts can write to.
BACKUPS=/srv/backups

fail() {
  printf 'platform.sh: %s\n' "$*" >&2
  exit 1
}

# setting KEY: prints a setting of this container, byte for byte. Incus identifies the caller by searching its containers,
# and answers 500 if one of them stops meanwhile; curl retries that, but not a 404.
setting() {
  curl --silent --show-error --fail --max-time 10 --retry 10 --retry-delay 1 --unix-socket "$SOCKET" \
    "http://incus/1.0/config/$1"
}

# place FILE: writes standard input to a file, atomically.
place() {
  local directory unfinished
  directory=$(dirname -- "$1")
  mkdir -p "$directory"
  unfinished=$(mktemp "$directory/.unfinished.XXXXXX")
  if ! cat >"$unfinished" || ! mv "$unfinished" "$1"; then
    rm -f "$unfinished"
    return 1
  fi
}

install_packages() {
  local package installed missing=()
  # shellcheck disable=SC2016 # dpkg-query substitutes them
  installed=$(dpkg-query --show --showformat ' ${Package}=${db:Status-Status} ' "$@" 2>/dev/null) || true
  for package in "$@"; do
    [[ $installed == *" $package=installed "* ]] || missing+=("$package")
  done
  ((${#missing[@]} == 0)) ||
    fail "packages missing from the image that this host was created from: ${missing[*]}; replace the host to create it from a new image"
}

secret() {
  setting "user.$1" || fail "this host has no secret $1"
}

archive() {
  [[ -f $SHARED/$1 ]] || fail "$1 is not in $SHARED: a deploy or a release puts it there"
  place "$2" <"$SHARED/$1"
}

release() {
  [[ -f $SHARED/release ]] || fail "there is no release yet: a deploy provides the first"
  cat "$SHARED/release"
}

data_volume() {
  mountpoint --quiet "$1" || fail "no data volume is mounted at $1: a deploy attaches it"
}

backup_repository() {
  mountpoint --quiet "$BACKUPS" || fail "no folder for backups is mounted at $BACKUPS: a deploy attaches it"
  printf '%s' "$BACKUPS"
}

user_data() {
  local content
  # A sentinel keeps line breaks at the end, which a command substitution would drop.
  content=$(setting cloud-init.user-data && printf x) || fail "this host has no user-data"
  printf '%s' "${content%x}" | place "$1"
}

main() {
  case ${1:-} in
    # Incus can always reach its containers.
    operator-access) ;;
    install-packages) install_packages "${@:2}" ;;
    secret) secret "${2:?NAME}" ;;
    archive) archive "${2:?NAME}" "${3:?FILE}" ;;
    release) release ;;
    data-volume) data_volume "${2:?DIRECTORY}" ;;
    backup-repository) backup_repository ;;
    user-data) user_data "${2:?FILE}" ;;
    *) fail "unknown verb: ${1:-none}; there are operator-access, install-packages, secret, archive, release, data-volume, backup-repository, user-data" ;;
  esac
}

# On one line, which bash reads completely before it runs main: the file may be replaced meanwhile.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
