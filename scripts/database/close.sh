#!/usr/bin/env bash
# Makes this host's server refuse all writes at once. SET waits for commits in progress, and with lossless durability
# those may wait for a replica that never comes: then the server is killed, because it starts closed and has
# acknowledged none of them.
#
# The agent runs this, and opens the server again if nothing prevents it; `agent.sh close` keeps it closed.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

# A server that starts later starts closed.
pgrep --exact mysqld >/dev/null || exit 0
if ! printf '%s\n' "
  SET SESSION lock_wait_timeout = 2;
  SET GLOBAL super_read_only = ON;
" | sql 3; then
  log "the server did not become read-only within 3 s: killing it, since it starts read-only"
  # There may be nothing to kill.
  systemctl kill --kill-whom=main --signal=SIGKILL mysql.service || true
fi
