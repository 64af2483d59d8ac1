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
  local name=$1/$2.tar.gz sha256=$2 directory=$3 work
  [[ ! -d $directory ]] || return 0
  mkdir --parents "$(dirname -- "$directory")"
  # What was interrupted earlier.
  rm --recursive --force "$directory".*.partial
  # All that is unfinished lies in it, also what the platform interface has begun.
  work=$(mktemp --directory "$directory.XXXXXX.partial")
  # shellcheck disable=SC2064  # the name is wanted as it is now
  trap "rm --recursive --force '$work'" EXIT
  /opt/cluster/platform.sh archive "$name" "$work/archive"
  sha256sum --check --status <<<"$sha256  $work/archive" || fail "what arrived as $name is something else"
  mkdir "$work/unpacked"
  tar --extract --gzip --no-same-owner --file "$work/archive" --directory "$work/unpacked"
  # Links are left as they are, also those that lead nowhere.
  find "$work/unpacked" ! -type l -exec chmod u=rwX,go=rX {} +
  mv --no-target-directory "$work/unpacked" "$directory"
}

# bash has read this line to its end before it begins: the file may be written anew while it runs.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
