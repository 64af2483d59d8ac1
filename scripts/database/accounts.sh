# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from gather.sh
# What the cluster declares in MySQL: the app's database, its accounts, and the time zones. It is made where a
# cluster is founded, and the open primary brings it about where it is not what is declared now: by ordinary
# transactions, which replicas follow like any other.

# What the app's account may do in its database: all that ordinary migrations need. Each is explained in
# docs/database.md, and so is what is not in here.
APP_PRIVILEGES="SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW,
  TRIGGER, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, LOCK TABLES, CREATE TEMPORARY TABLES"
# What it has not, should anybody have granted it.
APP_DENIED="EVENT, GRANT OPTION"

# Nothing in here lets a closed server write a transaction of its own. Others would, in spite of super_read_only:
# a temporary table can be repaired and analysed by whoever made it, and a procedure can repair one of its
# definer's.
READ_PRIVILEGES="SELECT, SHOW VIEW"
READ_DENIED="INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, TRIGGER, CREATE ROUTINE,
  ALTER ROUTINE, EXECUTE, LOCK TABLES, CREATE TEMPORARY TABLES, EVENT, GRANT OPTION"

# How long, in seconds, a declaration that failed is left alone, so that the journal has room for other things.
DECLARE_AGAIN=60

# account USER PASSWORD: the statements that have it log in so.
account() {
  printf '%s\n' "
    CREATE USER IF NOT EXISTS '$1'@'$CLUSTER_NETWORK' IDENTIFIED BY '$2' REQUIRE SSL;
    ALTER USER '$1'@'$CLUSTER_NETWORK' IDENTIFIED BY '$2' REQUIRE SSL;"
}

# grant USER PRIVILEGES DENIED: on the app's database. What is granted stays granted all the while.
grant() {
  local on="ON \`${DATABASE_NAME//_/\\_}\`.*"
  printf '%s\n' "
    GRANT $2 $on TO '$1'@'$CLUSTER_NETWORK';
    REVOKE IF EXISTS $3 $on FROM '$1'@'$CLUSTER_NETWORK';"
}

# declaration: prints the statements that bring all of it about, whatever there is; they may be repeated.
declaration() {
  local app reader replication
  app=$(password mysql-app-password) || return
  reader=$(password mysql-read-password) || return
  replication=$(replication_password) || return
  printf '%s\n' "
    CREATE DATABASE IF NOT EXISTS \`$DATABASE_NAME\`;
    CREATE TABLE IF NOT EXISTS cluster.declared (
      subject VARCHAR(64) NOT NULL PRIMARY KEY,
      version CHAR(64) NOT NULL
    ) COMMENT 'What the primary has brought about, by the hash of the statements';"
  account "$APP_USER" "$app"
  grant "$APP_USER" "$APP_PRIVILEGES" "$APP_DENIED"
  account "$READ_USER" "$reader"
  grant "$READ_USER" "$READ_PRIVILEGES" "$READ_DENIED"
  account "$REPLICATION_USER" "$replication"
  printf '%s\n' "
    GRANT REPLICATION SLAVE, BACKUP_ADMIN ON *.* TO '$REPLICATION_USER'@'$CLUSTER_NETWORK';"
}

# declared_version STATEMENTS: what cluster.declared has of them once they are carried out.
declared_version() {
  printf '%s' "$1" | sha256
}

# record_declared VERSION: the statement that has it known that they are.
record_declared() {
  printf '%s\n' "
    INSERT INTO cluster.declared (subject, version) VALUES ('accounts', '$1') AS new
      ON DUPLICATE KEY UPDATE version = new.version;"
}

# The version that is recorded. The table is asked only where it is.
read -r -d "" DECLARED_QUERY <<'SQL' || true
SET @version = '-';
SET @query = IF(
  (SELECT COUNT(*) FROM information_schema.tables
    WHERE table_schema = 'cluster' AND table_name = 'declared') = 1,
  'SELECT COALESCE(MAX(version), "-") INTO @version FROM cluster.declared WHERE subject = "accounts"',
  'DO 0');
PREPARE query FROM @query;
EXECUTE query;
SELECT @version;
SQL

# act_declare: on the open primary. Once a process has found all as it is declared, it does not look again: what
# is declared comes with the scripts and the facts, and with them this process is started anew. A write that
# waits for a replica would keep everybody else waiting for this host, so there has to be one.
is_declared=no
next_declaration=0
act_declare() {
  local statements version
  if [[ $is_declared == yes ]] || ((SECONDS < next_declaration)); then return 0; fi
  if [[ -n ${DATABASE_PEERS:-} ]] && { [[ $own_semi_sync == ON ]] || [[ $DATABASE_DURABILITY == lossless ]]; } &&
    ((own_semi_sync_replicas == 0)); then
    return 0
  fi
  next_declaration=$((SECONDS + DECLARE_AGAIN))
  statements=$(declaration) || return 0
  version=$(declared_version "$statements")
  ask 5 "$DECLARED_QUERY" || return 0
  if [[ ${ROWS[0]} != "$version" ]]; then
    log "bringing accounts and privileges to what is declared"
    if ! printf '%s\n' "$statements $(record_declared "$version")" | sql 20 2>&1 | without_secrets >&2; then
      log "that failed; again in $DECLARE_AGAIN s"
      return 0
    fi
  fi
  ask 5 "SELECT COUNT(*) FROM mysql.time_zone_name;" || return 0
  if [[ ${ROWS[0]} == 0 ]]; then
    log "loading the time zones"
    if ! "$HERE/initialise.sh" --time-zones | sql 20 >&2; then
      log "that failed; again in $DECLARE_AGAIN s"
      return 0
    fi
  fi
  is_declared=yes
}
