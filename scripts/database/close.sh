#!/usr/bin/env bash
# Closes this host to writes and keeps it from reopening by itself, until it is promoted, follows
# another primary, or is released with `close.sh --release`. The first half of a switchover.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=act.sh
source "$HERE/act.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"

if [[ ${1:-} == --release ]]; then
  rm --force "$HELD"
  exit 0
fi
lock_part 10
touch "$HELD"
act_close
# What does not run says nothing, and is published as such within a second anyway.
if is_running; then observe; fi
log "$HOST_NAME is closed"
