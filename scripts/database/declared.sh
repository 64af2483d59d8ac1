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

# is_accepted USER PASSWORD [AUTHORITY]: whether the server lets the account in, by a login from this host's own address.
# With AUTHORITY its certificate must be of that one.
is_accepted() {
  local said
  if said=$(timeout --kill-after=1 10 mysql --defaults-file=<(printf '[client]\nuser=%s\npassword=%s\n' "$1" "$2") \
    --protocol=TCP --host="$HOST_ADDRESS" --port="$MYSQL_PORT" --connect-timeout=3 --batch --execute='DO 0' \
    --ssl-mode=VERIFY_CA --ssl-ca="${3:-$MYSQL_CONFIGURATION/certificate-authority.pem}" 2>&1); then
    return
  fi
  [[ $said == *"ERROR 1045 "* ]] || fail "whether $HOST_NAME accepts a password of $1 cannot be told: ${said:-no answer}"
  return 1
}

# accepted USER VALUE OTHER: prints which of two passwords the server accepts: both, value, other, or none.
accepted() {
  local of_value=no of_other=no
  if is_accepted "$1" "$2"; then of_value=yes; fi
  if is_accepted "$1" "$3"; then of_other=yes; fi
  case $of_value-$of_other in
    yes-yes) printf both ;;
    yes-no) printf value ;;
    no-yes) printf other ;;
    no-no) printf none ;;
  esac
}

# account USER SECRET WHEN: the statements that give it this login. While the secret is being rotated, the server accepts
# two passwords (https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords), and neither is refused
# at any moment: that depends on what it accepts already. `founding` assumes that there is no such account yet. Binary
# logs and replicas get hashes.
account() {
  local user="'$1'@'$CLUSTER_NETWORK'" value phase other accepts=none
  read_password "$2"
  if [[ $phase == steady || $phase == former ]]; then
    printf '%s\n' "
    CREATE USER IF NOT EXISTS $user IDENTIFIED BY '$value' REQUIRE SSL;
    ALTER USER $user IDENTIFIED BY '$value' REQUIRE SSL;
    ALTER USER $user DISCARD OLD PASSWORD;"
    return
  fi
  if [[ $3 == live ]]; then accepts=$(accepted "$1" "$value" "$other") || return; fi
  printf '%s\n' "
    CREATE USER IF NOT EXISTS $user IDENTIFIED BY '$other' REQUIRE SSL;"
  case $accepts in
    both) ;;
    value) printf '%s\n' "
    ALTER USER $user IDENTIFIED BY '$other' RETAIN CURRENT PASSWORD;" ;;
    other) printf '%s\n' "
    ALTER USER $user IDENTIFIED BY '$value' RETAIN CURRENT PASSWORD;" ;;
    none) printf '%s\n' "
    ALTER USER $user IDENTIFIED BY '$other' REQUIRE SSL;
    ALTER USER $user IDENTIFIED BY '$value' RETAIN CURRENT PASSWORD;" ;;
  esac
}

# grant USER PRIVILEGES DENIED: on the app's database. Existing grants stay in effect throughout.
grant() {
  local on="ON \`${DATABASE_NAME//_/\\_}\`.*"
  printf '%s\n' "
    GRANT $2 $on TO '$1'@'$CLUSTER_NETWORK';
    REVOKE IF EXISTS $3 $on FROM '$1'@'$CLUSTER_NETWORK';"
}

# declaration WHEN: prints the statements that apply the whole declaration, whatever the current state; they are idempotent.
# WHEN is `live` on a server in use, or `founding`.
declaration() {
  printf '%s\n' "
    CREATE DATABASE IF NOT EXISTS \`$DATABASE_NAME\`;
    CREATE TABLE IF NOT EXISTS cluster.declared (
      subject VARCHAR(64) NOT NULL PRIMARY KEY,
      version CHAR(64) NOT NULL
    ) COMMENT 'What the primary has brought about, by the hash of the statements';"
  account "$DATABASE_USER" mysql-app-password "$1" || return
  grant "$DATABASE_USER" "$APP_PRIVILEGES" "$APP_DENIED"
  account "$DATABASE_READ_USER" mysql-read-password "$1" || return
  grant "$DATABASE_READ_USER" "$READ_PRIVILEGES" "$READ_DENIED"
  account "$REPLICATION_USER" mysql-replication-password "$1" || return
  printf '%s\n' "
    GRANT REPLICATION SLAVE, BACKUP_ADMIN ON *.* TO '$REPLICATION_USER'@'$CLUSTER_NETWORK';"
  metrics_account
}

# metrics_account: the exporter's login on this host, by its system user. It reads numbers, and no table of the app.
# https://github.com/prometheus/mysqld_exporter#required-grants
metrics_account() {
  printf '%s\n' "
    CREATE USER IF NOT EXISTS 'prometheus'@'localhost' IDENTIFIED WITH auth_socket WITH MAX_USER_CONNECTIONS 3;
    GRANT PROCESS, REPLICATION CLIENT ON *.* TO 'prometheus'@'localhost';
    GRANT SELECT ON performance_schema.* TO 'prometheus'@'localhost';"
}

# declared_version: the version that cluster.declared records once the declaration has been applied.
declared_version() {
  local statements
  statements=$(declaration founding) || return
  printf '%s' "$statements" | sha256
}

# record_declared VERSION: the statement that records that they have been executed.
record_declared() {
  printf '%s\n' "
    INSERT INTO cluster.declared (subject, version) VALUES ('accounts', '$1') AS new
      ON DUPLICATE KEY UPDATE version = new.version;"
}
