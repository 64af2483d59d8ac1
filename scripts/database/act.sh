# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from gather.sh
# Changes what a database host is. Every step may be interrupted and repeated. The functions are
# called where `set -e` is void, after `if`, so each passes a failure on by itself.

# shellcheck source=accounts.sh
source "$HERE/accounts.sh"

# act_found: makes the first accounts and tables. Nothing of it is in the binary log: every other
# host gets it by cloning, and a server interrupted before its first term still has executed
# no transaction, which is how it is known to be as good as empty.
# Only super_read_only is lifted: the app's account still cannot write.
act_found() {
  local declared
  declared=$(declaration) || return
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
    $(record_declared "$(declared_version "$declared")")
  " | sql 30 2>&1 | without_secrets >&2 && act_promote "${PEERS[@]}"
}

# act_promote [PEER...]: writes the next term and opens, in this order. While it writes, semi-synchronous
# replication is off: a term must not wait for a replica, and is void until the server is open.
# In lossless durability the supervisor opens the server, once a replica acknowledges.
act_promote() {
  # From now on this host's data is no copy that another one has.
  rm --force "$FOLLOWS" && sync "$DATA_VOLUME" || return
  abandon_source
  printf '%s\n' "
    STOP REPLICA;
    RESET REPLICA ALL;
    SET GLOBAL rpl_semi_sync_source_enabled = OFF;
    SET GLOBAL super_read_only = OFF;
    INSERT INTO cluster.primary_term (term, host, server_uuid)
      SELECT COALESCE(MAX(term), 0) + 1, '$HOST_NAME', @@server_uuid FROM cluster.primary_term;
    $(opening_after "$@")
  " | sql 30 && rm --force "$HELD"
}

# abandon_source: ends attempts to connect to a source that is gone. STOP REPLICA would wait two seconds for
# one; it does where the kernel has no way to end them.
abandon_source() {
  ss --kill --tcp state syn-sent dport = ":$MYSQL_PORT" >/dev/null 2>&1 || true
}

# opening_after [PEER...]: how a host that has just been promoted opens.
opening_after() {
  # Where nobody answers who could acknowledge, the first write would wait for nothing. act_serve has writes
  # wait as soon as there is a replica.
  if [[ $DATABASE_DURABILITY == lossless || " $* " == *,member,* ]]; then semi_sync_source ON; fi
  if [[ $DATABASE_DURABILITY != lossless ]]; then printf 'SET GLOBAL read_only = OFF;\n'; fi
}

# act_refuse: the app's writes are refused, those of replication and of root are not. Waits only shortly
# for commits in progress: they may wait for room themselves.
act_refuse() {
  printf '%s\n' "
    SET SESSION lock_wait_timeout = 2;
    SET GLOBAL read_only = ON;
  " | sql 5
}

# semi_sync_source STATE: the statement that has a primary wait for acknowledgements, or not. It never
# waits where no other host could acknowledge anything.
semi_sync_source() {
  local state=OFF
  if [[ -n ${DATABASE_PEERS:-} ]]; then state=$1; fi
  printf 'SET GLOBAL rpl_semi_sync_source_enabled = %s;\n' "$state"
}

# opening DOOR: the statements that bring a primary into that state.
opening() {
  printf '%s\n' "
    STOP REPLICA;
    RESET REPLICA ALL;
    $(semi_sync_source ON)
    SET GLOBAL $1 = OFF;"
}

# act_serve: writes wait for a replica wherever there is one. The cluster may have got its first since the
# server was opened, or lost its last.
act_serve() {
  if [[ -z ${DATABASE_PEERS:-} ]]; then
    [[ $own_semi_sync == OFF ]] || ask 5 "$(semi_sync_source OFF)"
  elif [[ $own_semi_sync == OFF ]] && ((own_semi_sync_replicas > 0)); then
    ask 5 "$(semi_sync_source ON)"
  fi
}

# act_ready: may be cloned and replicated from; the app's writes are still refused.
act_ready() {
  opening super_read_only | sql 30 && rm --force "$HELD"
}

# act_reopen: opens a server whose own term is the newest. read_only takes super_read_only along.
act_reopen() {
  opening read_only | sql 30 && rm --force "$HELD"
}

# act_apply: applies what is in the relay log. skip_replica_start keeps a server from it that is started.
act_apply() {
  printf 'START REPLICA SQL_THREAD;\n' | sql 10
}

# act_skip EXTRA LEADER EXECUTED: forgets these transactions, which the primary with what it has executed lacks,
# as if they had never been executed here. Fails, and forgets nothing, where this server has written more by now:
# that has not been judged, and would stay without a log to judge it by. The server looks and forgets in one go.
# Interrupted half-way the host holds data and no transaction; it then receives all from the start, fails, and
# clones.
act_skip() {
  local extra=$1 executed=${3/#-/}
  rm --force "$SERIES"
  ask 30 "STOP REPLICA;
    SET @executed = REPLACE(@@gtid_executed, '\n', '');
    SET @rest = GTID_SUBTRACT(@executed, '$extra');
    SET @missed = GTID_SUBTRACT(@rest, '$executed');
    SET @own = GTID_SUBTRACT(@missed, GTID_SUBTRACT(@missed, CONCAT(@@server_uuid, ':1-9223372036854775806')));
    SET @forget = IF(@own = '', 'RESET BINARY LOGS AND GTIDS', 'DO 0');
    SET @keep = IF(@own = '', 'SET GLOBAL gtid_purged = @rest', 'DO 0');
    PREPARE forget_all FROM @forget;
    PREPARE keep_rest FROM @keep;
    EXECUTE forget_all;
    EXECUTE keep_rest;
    SELECT @own = '';" || return
  [[ ${ROWS[0]:-} == 1 ]] || return
  log "forgot $extra, which $2 lacks and which changes no row"
}

# act_set_aside LEADER EXECUTED: copies the transactions that are here and not on the primary into a file:
# as statements that can be replayed, and as comments that can be read
# (https://dev.mysql.com/doc/refman/8.4/en/mysqlbinlog-row-events.html). Nothing may be thrown away
# before they are all there.
act_set_aside() {
  local leader=$1 executed=${2/#-/} extra logged file
  ask 5 "STOP REPLICA;
    SELECT COALESCE(NULLIF(REPLACE(GTID_SUBTRACT(@@gtid_executed, '$executed'), '\n', ''), ''), '-'),
      GTID_SUBSET(GTID_SUBTRACT(@@gtid_executed, '$executed'),
        GTID_SUBTRACT(@@gtid_executed, @@gtid_purged));" || return
  read -r extra logged <<<"${ROWS[0]:-}"
  # The answer that spoke of some was older than what the host holds by now.
  [[ $extra != - ]] || return
  if [[ $logged != 1 ]]; then
    log "the binary log no longer has all of $extra: they cannot be set aside, and stay here"
    return 1
  fi
  file=$SET_ASIDE/$(date --utc +%Y-%m-%dT%H-%M-%SZ)-$HOST_NAME.sql
  install --directory --mode=0700 "$SET_ASIDE" || return
  {
    printf -- '-- Transactions of %s which %s, the primary, never had:\n-- %s\n' \
      "$HOST_NAME" "$leader" "$extra"
    mysqlbinlog --no-defaults --verbose --include-gtids="$extra" "$DATADIR"/binlog.[0-9]*
  } >"$file.new" || return
  sync "$file.new" && mv "$file.new" "$file" && sync "$SET_ASIDE" || return
  log "transactions that $leader never had are set aside in $file"
}

# act_close: refuses writes at once. SET waits for commits in progress, and in lossless durability
# those may wait for a replica that never comes: then the server is killed, because it starts
# closed and has acknowledged none of them.
act_close() {
  # One that is started later starts closed.
  is_running || return 0
  if ! printf '%s\n' "
    SET SESSION lock_wait_timeout = 2;
    SET GLOBAL super_read_only = ON;
  " | sql 3; then
    log "the server does not close: killing it, it starts closed"
    # There may be nothing to kill.
    systemctl kill --kill-whom=main --signal=SIGKILL mysql.service || true
  fi
}

# act_clone ADDRESS: replaces all data by the primary's. The server restarts by itself at the end,
# so a lost connection is no failure: whether it worked shows in what the server then holds.
# What the host held is dropped first, which super_read_only would forbid; read_only stays.
# With clone_ssl_ca set, the donor's certificate is verified
# (https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-remote.html).
act_clone() {
  local replication attempt result
  replication=$(replication_password) || return
  rm --force "$SERIES"
  # A server that ends waits two seconds for those who are still connected.
  close_session
  result=$(printf '%s\n' "
    STOP REPLICA;
    RESET REPLICA ALL;
    SET GLOBAL super_read_only = OFF;
    SET GLOBAL clone_valid_donor_list = '$1:$MYSQL_PORT';
    CLONE INSTANCE FROM '$REPLICATION_USER'@'$1':$MYSQL_PORT IDENTIFIED BY '$replication'
      REQUIRE SSL;
  " | sql infinity 2>&1 | without_secrets) || true
  for ((attempt = 0; attempt < 100; attempt++)); do
    # First, too: the server may not have closed its door yet, and then waits for whoever comes in.
    pause 0.3
    if result+=" $(printf '%s\n' "
      SELECT CONCAT('clone: ', state, ' ', error_no, ' ', error_message)
      FROM performance_schema.clone_status;" | sql 2 2>/dev/null)"; then
      break
    fi
  done
  # A donor serves one clone at a time: with several replicas, all but one hear so again and again.
  if [[ $result != "${last_clone:-}" ]]; then
    log "$result"
    last_clone=$result
  fi
}

# act_join ADDRESS: replicates from the primary. The password is given to START REPLICA, which
# keeps it in memory; CHANGE REPLICATION SOURCE would store it in a table
# (https://dev.mysql.com/doc/refman/8.4/en/start-replica.html).
# A source that is silent is retried every second, for ever.
act_join() {
  local replication
  replication=$(replication_password) || return
  printf '%s\n' "
    STOP REPLICA;
    SET GLOBAL super_read_only = ON;
    CHANGE REPLICATION SOURCE TO
      SOURCE_HOST = '$1', SOURCE_PORT = $MYSQL_PORT, SOURCE_AUTO_POSITION = 1,
      SOURCE_SSL = 1, SOURCE_SSL_CA = '$CONFIGURATION/certificate-authority.pem',
      SOURCE_SSL_VERIFY_SERVER_CERT = 1, SOURCE_TLS_VERSION = 'TLSv1.3',
      SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 0, SOURCE_HEARTBEAT_PERIOD = 1;
    START REPLICA USER = '$REPLICATION_USER' PASSWORD = '$replication';
  " | sql 30 2>&1 | without_secrets >&2 && rm --force "$HELD" && touch "$FOLLOWS" &&
    rm --recursive --force "$DAMAGED"
}

# act_stop_replica: holds transactions the primary lacks; nothing may be added to them.
act_stop_replica() {
  printf '%s\n' "STOP REPLICA;" | sql 10
}

# An error message quotes the statement near its mistake.
without_secrets() {
  sed --regexp-extended "s/(IDENTIFIED BY|PASSWORD *=) *'[^']*'?/\1 (secret)/g"
}
