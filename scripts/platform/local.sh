#!/usr/bin/env bash
# The platform interface on a local host, an Incus container; the same verbs as on AWS.
#
#   operator-access               make sure that operators reach the host
#   install-packages PACKAGE...   make sure the packages are installed
#   secret NAME                   print a secret
#   archive NAME FILE             put an archive at FILE: scripts/SHA256.tar.gz, releases/SHA256.tar.gz
#   release                       print the releases of the app, the one to run first
#   data-volume DIRECTORY         make sure the data volume is mounted at DIRECTORY
#   backup-repository             print where restic keeps the cluster's backups
#   user-data FILE                put this host's newest user-data at FILE
#
# A verb fails with one line that tells what is missing; callers try again.

set -euo pipefail

# The engine's own channel to its container: settings of this host, and of this host only.
SOCKET=/dev/incus/sock
# A folder of the machine, which all hosts of the cluster may read.
SHARED=/srv/shared
# Another, of the database hosts.
BACKUPS=/srv/backups

fail() {
  printf 'platform.sh: %s\n' "$*" >&2
  exit 1
}

# Prints a setting of this container, exactly as it is set. The engine finds out who asks by looking at its
# containers in turn, and answers 500 when one of them stops meanwhile; curl tries again then, and not at 404.
setting() {
  curl --silent --show-error --fail --max-time 10 --retry 10 --retry-delay 1 --unix-socket "$SOCKET" \
    "http://incus/1.0/config/$1"
}

# Puts what comes on standard input at a path, whole or not at all.
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
    fail "not in the image this host was made from: ${missing[*]}; replace the host, which makes it from a new image"
}

secret() {
  setting "user.$1" || fail "no secret $1 for this host"
}

archive() {
  [[ -f $SHARED/$1 ]] || fail "$1 is not here: a deploy or a release puts it at $SHARED"
  place "$2" <"$SHARED/$1"
}

release() {
  [[ -f $SHARED/release ]] || fail "there is no release yet: a deploy makes the first"
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
  content=$(setting cloud-init.user-data && printf x) || fail "no user-data for this host"
  printf '%s' "${content%x}" | place "$1"
}

main() {
  case ${1:-} in
    # The engine reaches its containers without their help.
    operator-access) ;;
    install-packages) install_packages "${@:2}" ;;
    secret) secret "${2:?NAME}" ;;
    archive) archive "${2:?NAME}" "${3:?FILE}" ;;
    release) release ;;
    data-volume) data_volume "${2:?DIRECTORY}" ;;
    backup-repository) backup_repository ;;
    user-data) user_data "${2:?FILE}" ;;
    *) fail "unknown verb: ${1:-none}; known are operator-access, install-packages, secret, archive, release, data-volume, backup-repository, user-data" ;;
  esac
}

# bash has read this line to its end before it begins: the file may be written anew while it runs.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
