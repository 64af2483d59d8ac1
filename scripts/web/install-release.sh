#!/usr/bin/env bash
# Fetches a release without activating it, and prints as JSON how many seconds this release and the current one may take
# to start.
#
#   install-release.sh SHA256
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh

start_timeout_of() {
  local start_timeout
  about "$1"
  printf '%s' "$start_timeout"
}

main() {
  lock_releases
  install_release "$1"
  jq --null-input --compact-output --argjson wanted "$(start_timeout_of "$1")" \
    --argjson current "$(start_timeout_of "$(release_at "$CURRENT")")" \
    '{startTimeout: $wanted, startTimeoutBefore: $current}'
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
