# shellcheck shell=bash
# What the cluster declares in MySQL: the app's database and its accounts. found.sh makes it where a cluster is
# founded, and declare.sh brings it about on the open primary where it is not what is declared now.

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
  account "$DATABASE_USER" "$app"
  grant "$DATABASE_USER" "$APP_PRIVILEGES" "$APP_DENIED"
  account "$DATABASE_READ_USER" "$reader"
  grant "$DATABASE_READ_USER" "$READ_PRIVILEGES" "$READ_DENIED"
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
