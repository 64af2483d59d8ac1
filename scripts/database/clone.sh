#!/usr/bin/env bash
# Replaces all data of this host with a primary's.
#
#   clone.sh ADDRESS   of the primary
#
# The server restarts by itself at the end, so a lost connection is not a failure: success shows in the server's state
# afterwards. The clone first drops the host's data, which super_read_only would forbid; read_only stays on. With
# clone_ssl_ca set, the donor's certificate is verified
# (https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-remote.html).
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

replication=$(password mysql-replication-password)
said=$(printf '%s\n' "
  STOP REPLICA;
  RESET REPLICA ALL;
  SET GLOBAL super_read_only = OFF;
  SET GLOBAL clone_valid_donor_list = '${1:?ADDRESS}:$MYSQL_PORT';
  CLONE INSTANCE FROM '$REPLICATION_USER'@'$1':$MYSQL_PORT IDENTIFIED BY '$replication'
    REQUIRE SSL;
" | sql infinity 2>&1 | without_secrets) || true
for ((attempt = 0; attempt < 100; attempt++)); do
  # Also before the first attempt: the server may not have closed its sessions yet, and then waits for new connections.
  sleep 0.3
  if ask 2 "SELECT state, error_no, error_message FROM performance_schema.clone_status;"; then break; fi
done
IFS=$'\t' read -r state number message <<<"${ROWS[0]:-unknown}"
# A donor serves one clone at a time: with several replicas, all but one get this error repeatedly.
[[ $state == Completed ]] || fail "cloning $1 failed, the clone's state is $state${number:+, error $number: $message}. $said"
log "cloned $1"
