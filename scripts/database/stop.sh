#!/usr/bin/env bash
# Stops the server, as its unit's ExecStop: for a stop, a restart, an upgrade, a shutdown of the host.
#
# A server that is asked to end acknowledges the commits which wait for a replica, although no replica has
# them (`Forced shutdown`). So it is closed before: it closes when no commit waits any more, and one that
# does not close is killed, which acknowledges nothing.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

# systemd tells it. Without one the server has ended by itself.
server=${MAINPID:-}
if [[ -z $server ]] || ! kill -0 "$server" 2>/dev/null; then exit 0; fi

# Until the server is gone nobody opens it again. Only a clone holds the lock for longer, and clones into a
# server that is closed.
take_lock 15 || log "this host is in the middle of something; the server is stopped all the same"
"$HERE/close.sh"
kill -TERM "$server" 2>/dev/null || true
while kill -0 "$server" 2>/dev/null; do
  sleep 0.05
done
