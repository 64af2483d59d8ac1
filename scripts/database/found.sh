#!/usr/bin/env bash
# Creates the first accounts and tables of a cluster, on a server that has executed no transaction. None of it is in the
# binary log: every other host gets it by cloning, and a server that is interrupted before its first term still has
# executed no transaction, so it still counts as empty.
# Only super_read_only is turned off: the app's account still cannot write.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=declared.sh
source "$HERE/declared.sh"

declared=$(declaration founding)
version=$(declared_version)
printf '%s\n' "
  SET SESSION sql_log_bin = OFF;
  SET GLOBAL super_read_only = OFF;
  CREATE DATABASE IF NOT EXISTS cluster;
  CREATE TABLE IF NOT EXISTS cluster.primary_term (
    term BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    host VARCHAR(64) NOT NULL,
    server_uuid CHAR(36) NOT NULL,
    since TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
  ) COMMENT 'Every promotion; the newest names the primary';
  $declared
  $(record_declared "$version")
" | sql 30 2>&1 | without_secrets >&2
