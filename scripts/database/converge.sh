#!/usr/bin/env bash
# Brings a database host to its declared state. It waits for nothing: steps that have to wait, for a volume, for the
# server or for a peer, are units that retry.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

DROP_IN=/etc/systemd/system/mysql.service.d/cluster.conf
AGENT=cluster-database-agent.service
TIMERS=(cluster-database-{certificates,backup,log-archive}.timer)
SCRIPTS=("$HERE"/{*.sh,agent.js} /opt/cluster/scripts/host/lib.sh /etc/cluster/host.env
  /etc/systemd/system/cluster-database-*)
SERVER_FILES=("$MYSQL_CONFIGURATION/mysqld.cnf" "$DROP_IN")

# A server on another directory is the one that the package started, on the root volume.
if [[ ! $MYSQL_DATA_DIRECTORY -ef $DATA ]] && systemctl --quiet is-active mysql.service; then
  systemctl stop mysql.service
fi

# The drop-in is installed only now, after the package: a package that starts the server while it is being installed
# must find it as its maintainers configured it.
cmp --quiet /etc/cluster/database/mysql.service.conf "$DROP_IN" ||
  install -D --mode=0644 /etc/cluster/database/mysql.service.conf "$DROP_IN"

enable_units

if changed database-server "${SERVER_FILES[@]}"; then
  systemctl --no-block restart mysql.service
  mark database-server "${SERVER_FILES[@]}"
else
  systemctl --no-block start mysql.service
  # Facts of the certificate may have changed.
  if systemctl --quiet is-active mysql.service; then "$HERE/certificates.sh"; fi
fi
# Left by an earlier version that supervised the host differently.
for unit in cluster-database-{join,observer}.service; do
  if [[ -e /etc/systemd/system/$unit ]]; then
    systemctl --quiet disable --now "$unit"
    rm "/etc/systemd/system/$unit"
  fi
done
haproxy -c -q -f /etc/haproxy/haproxy.cfg
keep_serving haproxy /etc/haproxy/haproxy.cfg
if changed database-scripts "${SCRIPTS[@]}"; then
  systemctl --no-block restart "$AGENT"
  mark database-scripts "${SCRIPTS[@]}"
fi
systemctl --no-block start "$AGENT" "${TIMERS[@]}"
