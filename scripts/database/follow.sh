#!/usr/bin/env bash
# Makes this host replicate from a primary.
#
#   follow.sh ADDRESS   of the primary
#
# The password is passed to START REPLICA, which keeps it in memory; CHANGE REPLICATION SOURCE would store it in a table
# (https://dev.mysql.com/doc/refman/8.4/en/start-replica.html). A silent source is retried every second, for ever.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

replication=$(password mysql-replication-password)
# What it had received and not applied is dropped: a new incarnation tells others not to count it as received.
if [[ $DATABASE_FAILOVER != manual ]]; then new_incarnation; fi
# A server that was a primary and was not restarted since would have what it applies wait for a replica of its own: with
# lossless durability without end, and it would never be in sync.
printf '%s\n' "
  STOP REPLICA;
  SET GLOBAL super_read_only = ON;
  SET GLOBAL rpl_semi_sync_source_enabled = OFF;
  CHANGE REPLICATION SOURCE TO
    SOURCE_HOST = '${1:?ADDRESS}', SOURCE_PORT = $MYSQL_PORT, SOURCE_AUTO_POSITION = 1,
    SOURCE_SSL = 1, SOURCE_SSL_CA = '$MYSQL_CONFIGURATION/certificate-authority.pem',
    SOURCE_SSL_VERIFY_SERVER_CERT = 1, SOURCE_TLS_VERSION = 'TLSv1.3',
    SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 0, SOURCE_HEARTBEAT_PERIOD = 1;
  START REPLICA USER = '$REPLICATION_USER' PASSWORD = '$replication';
" | sql 30 2>&1 | without_secrets >&2
# From now on this host's data is a copy.
touch "$FOLLOWS"
rm --recursive --force "$DAMAGED"
