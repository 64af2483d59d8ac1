#!/usr/bin/env bash
# The platform interface on a local host, an Incus container; the same verbs as on AWS.
#
#   install-packages PACKAGE...   make sure the packages are installed
#   secret NAME                   print a secret
#   release SHA256 FILE           put the app's release archive at FILE
#   data-volume DIRECTORY         make sure the data volume is mounted at DIRECTORY
#   user-data FILE                put this host's newest user-data at FILE
#
# A verb fails with one line that tells what is missing; callers try again.

set -euo pipefail

# The engine's own channel to its container: settings of this host, and of this host only.
SOCKET=/dev/incus/sock
INBOX=/var/lib/cluster/inbox

fail() {
  printf 'platform.sh: %s\n' "$*" >&2
  exit 1
}

# Prints a setting of this container, exactly as it is set.
setting() {
  curl --silent --show-error --fail --max-time 10 --unix-socket "$SOCKET" "http://incus/1.0/config/$1"
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
  local package missing=()
  for package in "$@"; do
    # shellcheck disable=SC2016 # dpkg-query substitutes it
    [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  ((${#missing[@]} == 0)) ||
    fail "not in the image this host was made from: ${missing[*]}; replace the host, which makes it from a new image"
}

secret() {
  setting "user.$1" || fail "no secret $1 for this host"
}

release() {
  local archive=$INBOX/$1.tar.gz
  [[ -f $archive ]] || fail "release $1 is not here yet: a deploy puts it at $archive"
  # It may still be on its way in.
  printf '%s  %s\n' "$1" "$archive" | sha256sum --check --status ||
    fail "release $1 at $archive is incomplete"
  place "$2" <"$archive"
}

data_volume() {
  mountpoint --quiet "$1" || fail "no data volume is mounted at $1: a deploy attaches it"
}

user_data() {
  local content
  # A sentinel keeps line breaks at the end, which a command substitution would drop.
  content=$(setting cloud-init.user-data && printf x) || fail "no user-data for this host"
  printf '%s' "${content%x}" | place "$1"
}

case ${1:-} in
  install-packages) install_packages "${@:2}" ;;
  secret) secret "${2:?NAME}" ;;
  release) release "${2:?SHA256}" "${3:?FILE}" ;;
  data-volume) data_volume "${2:?DIRECTORY}" ;;
  user-data) user_data "${2:?FILE}" ;;
  *) fail "unknown verb: ${1:-none}; known are install-packages, secret, release, data-volume, user-data" ;;
esac
