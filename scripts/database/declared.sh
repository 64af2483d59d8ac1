# shellcheck shell=bash
# The cluster's declaration in MySQL: the app's database and its accounts. found.sh creates it when a cluster is
# founded, and declare.sh updates the open primary if it differs from the current declaration.

# What the app's account may do in its database: everything that ordinary migrations need. docs/database.md explains
# each privilege, and why others are missing.
APP_PRIVILEGES="SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW,
  TRIGGER, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, LOCK TABLES, CREATE TEMPORARY TABLES"
# Privileges to revoke, in case somebody has granted them.
APP_DENIED="EVENT, GRANT OPTION"

# None of these lets a closed server write a transaction of its own. Others would, despite super_read_only: the creator
# of a temporary table can repair and analyse it, and a procedure can repair one of its definer's.
READ_PRIVILEGES="SELECT, SHOW VIEW"
READ_DENIED="INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, TRIGGER, CREATE ROUTINE,
  ALTER ROUTINE, EXECUTE, LOCK TABLES, CREATE TEMPORARY TABLES, EVENT, GRANT OPTION"

# account USER PASSWORD: the statements that give it this login.
account() {
  printf '%s\n' "
    CREATE USER IF NOT EXISTS '$1'@'$CLUSTER_NETWORK' IDENTIFIED BY '$2' REQUIRE SSL;
    ALTER USER '$1'@'$CLUSTER_NETWORK' IDENTIFIED BY '$2' REQUIRE SSL;"
}

# grant USER PRIVILEGES DENIED: on the app's database. Existing grants stay in effect throughout.
grant() {
  local on="ON \`${DATABASE_NAME//_/\\_}\`.*"
  printf '%s\n' "
    GRANT $2 $on TO '$1'@'$CLUSTER_NETWORK';
    REVOKE IF EXISTS $3 $on FROM '$1'@'$CLUSTER_NETWORK';"
}

# declaration: prints the statements that apply the whole declaration, whatever the current state; they are idempotent.
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
  account "$DATABASE_USER" "$app"
  grant "$DATABASE_USER" "$APP_PRIVILEGES" "$APP_DENIED"
  account "$DATABASE_READ_USER" "$reader"
  grant "$DATABASE_READ_USER" "$READ_PRIVILEGES" "$READ_DENIED"
  account "$REPLICATION_USER" "$replication"
  printf '%s\n' "
    GRANT REPLICATION SLAVE, BACKUP_ADMIN ON *.* TO '$REPLICATION_USER'@'$CLUSTER_NETWORK';"
}

# declared_version STATEMENTS: the version that cluster.declared records once they have been executed.
declared_version() {
  printf '%s' "$1" | sha256
}

# record_declared VERSION: the statement that records that they have been executed.
record_declared() {
  printf '%s\n' "
    INSERT INTO cluster.declared (subject, version) VALUES ('accounts', '$1') AS new
      ON DUPLICATE KEY UPDATE version = new.version;"
}
