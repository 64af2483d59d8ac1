#!/usr/bin/env bash
# Unpacks an archive of the cluster into a directory of its own, whole or not at all. Does nothing
# when the directory is there.
#
#   fetch-archive.sh KIND SHA256 DIRECTORY   KIND is scripts or releases
set -euo pipefail

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

main() {
  local name=$1/$2.tar.gz sha256=$2 directory=$3 archive unpacked
  [[ ! -d $directory ]] || return 0
  mkdir --parents "$(dirname -- "$directory")"
  # What was interrupted earlier.
  rm --recursive --force "$directory".*.partial
  archive=$(mktemp "$directory.XXXXXX.partial")
  unpacked=$(mktemp --directory "$directory.XXXXXX.partial")
  # shellcheck disable=SC2064  # the names are wanted as they are now
  trap "rm --recursive --force '$archive' '$unpacked'" EXIT
  /opt/cluster/platform.sh archive "$name" "$archive"
  sha256sum --check --status <<<"$sha256  $archive" || fail "what arrived as $name is something else"
  tar --extract --gzip --no-same-owner --file "$archive" --directory "$unpacked"
  # Links are left as they are, also those that lead nowhere.
  find "$unpacked" ! -type l -exec chmod u=rwX,go=rX {} +
  mv --no-target-directory "$unpacked" "$directory"
}

# bash has read this line to its end before it begins: the file may be written anew while it runs.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
