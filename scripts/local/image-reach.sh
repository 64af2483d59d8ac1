#!/usr/bin/env bash
# Looks whether the sources of apt of a host image's root file system can be reached, because apt itself would try each
# index of each of them for minutes. mmdebstrap runs it as a hook.
#
#   image-reach.sh ROOT UNREACHABLE
#
# The address that does not answer is written to the file UNREACHABLE.

set -euo pipefail

probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
while read -r address suite; do
  # Others are files of this machine, or lists of mirrors.
  [[ $address == http://* || $address == https://* ]] || continue
  /usr/lib/apt/apt-helper -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 \
    download-file "${address%/}/dists/$suite/InRelease" "$probe" || {
    printf '%s' "$address" >"$2"
    exit 1
  }
done < <(sed -E -n 's|^deb +(\[[^]]*\] +)?([^ ]+) ([^ ]+) .*|\2 \3|p' "$1/etc/apt/sources.list")
