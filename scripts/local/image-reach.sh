#!/usr/bin/env bash
# Checks that the apt sources of a host image's root file system are reachable: apt itself would keep trying each index of
# each source for minutes. mmdebstrap runs it as a hook.
#
#   image-reach.sh ROOT UNREACHABLE
#
# If a source does not respond, its address is written to the file UNREACHABLE.

set -euo pipefail

probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
while read -r address suite; do
  # Skips local files and mirror lists.
  [[ $address == http://* || $address == https://* ]] || continue
  /usr/lib/apt/apt-helper -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 \
    download-file "${address%/}/dists/$suite/InRelease" "$probe" || {
    printf '%s' "$address" >"$2"
    exit 1
  }
done < <(sed -E -n 's|^deb +(\[[^]]*\] +)?([^ ]+) ([^ ]+) .*|\2 \3|p' "$1/etc/apt/sources.list")
