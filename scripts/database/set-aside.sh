#!/usr/bin/env bash
# Copies transactions of this host that a primary lacks into a file: as statements that can be replayed, and as readable
# comments (https://dev.mysql.com/doc/refman/8.4/en/mysqlbinlog-row-events.html). Fails if they are no longer all in the
# binary logs: nothing may be discarded before all of them are in the file.
#
#   set-aside.sh GTIDS PRIMARY   the transactions, and the primary's name
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

gtids=${1:?GTIDS} primary=${2:?PRIMARY}
ask 5 "SELECT GTID_SUBSET('$gtids', GTID_SUBTRACT(@@gtid_executed, @@gtid_purged));" || fail "the server does not answer"
[[ ${ROWS[0]} == 1 ]] || fail "the binary logs no longer contain all of $gtids, so nothing was set aside or discarded"
file=$SET_ASIDE/$(date --utc +%Y-%m-%dT%H-%M-%SZ)-$HOST_NAME.sql
install --directory --mode=0700 "$SET_ASIDE"
{
  printf -- '-- Transactions of %s which %s, the primary, never had:\n-- %s\n' "$HOST_NAME" "$primary" "$gtids"
  mysqlbinlog --no-defaults --verbose --include-gtids="$gtids" "$MYSQL_DATA_DIRECTORY"/binlog.[0-9]*
} >"$file.new"
sync "$file.new"
mv "$file.new" "$file"
sync "$SET_ASIDE"
log "transactions that $primary never had are set aside in $file"
