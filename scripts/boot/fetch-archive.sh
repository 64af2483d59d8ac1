#!/usr/bin/env bash
# Fetches an archive of the cluster and unpacks it into a directory, atomically. Does nothing if the directory exists.
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
  # Left by an interrupted run.
  rm --recursive --force "$directory".*.partial
  # Everything unfinished is in here, including the platform interface's partial downloads.
  work=$(mktemp --directory "$directory.XXXXXX.partial")
  # shellcheck disable=SC2064  # expand now
  trap "rm --recursive --force '$work'" EXIT
  /opt/cluster/platform.sh archive "$name" "$work/archive"
  sha256sum --check --status <<<"$sha256  $work/archive" || fail "$name was fetched, but its SHA-256 does not match"
  mkdir "$work/unpacked"
  tar --extract --gzip --no-same-owner --file "$work/archive" --directory "$work/unpacked"
  # Skips links: chmod would follow them, and they may be broken.
  find "$work/unpacked" ! -type l -exec chmod u=rwX,go=rX {} +
  mv --no-target-directory "$work/unpacked" "$directory"
}

# On one line, which bash reads completely before it runs main: the file may be replaced meanwhile.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
