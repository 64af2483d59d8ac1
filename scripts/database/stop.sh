#!/usr/bin/env bash
# Stops the server, as its unit's ExecStop: for a stop, a restart, an upgrade, a shutdown of the host.
#
# A server that is shutting down acknowledges the commits that wait for a replica, although no replica has them (`Forced
# shutdown`). So it is closed first: closing completes when no commit waits any more. A server that does not close is
# killed, which acknowledges nothing.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

# Set by systemd. Without one the server has ended by itself.
server=${MAINPID:-}
if [[ -z $server ]] || ! kill -0 "$server" 2>/dev/null; then exit 0; fi

# With automatic failover a replica takes over first, if one may: within a second.
[[ $DATABASE_FAILOVER == manual ]] || timeout 5 "$HERE/agent.sh" leave || true

# Nothing opens the server again until it is gone. Only a clone holds the lock for longer, and it clones into a closed
# server.
take_lock 15 || log "another operation on this host is still in progress; stopping the server anyway"
"$HERE/close.sh"
kill -TERM "$server" 2>/dev/null || true
while kill -0 "$server" 2>/dev/null; do
  sleep 0.05
done
