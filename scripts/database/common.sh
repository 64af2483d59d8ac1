# shellcheck shell=bash
# What the database scripts share: paths, the client, secrets in the form SQL takes them.

# shellcheck source=../host/lib.sh
source /opt/cluster/host/lib.sh

HERE=/opt/cluster/database
# Everything in here is gone after a reboot, and may be.
RUN=/run/cluster/database
DATA_VOLUME=/srv/data
DATA=$DATA_VOLUME/mysql
# MySQL's data stays at its usual path, a bind mount: AppArmor on Ubuntu lets mysqld write nowhere
# else.
DATADIR=/var/lib/mysql
# The data of an empty server, where the host's image carries it.
EMPTY_SERVER=/var/lib/cluster/empty-server
# AppArmor lets mysqld read /etc/mysql and below. The server's key is here rather than with the
# data, so that it is neither on the volume nor in a backup of it.
CONFIGURATION=/etc/mysql/cluster
REPLICATION_USER=replication
APP_USER=app
HEALTH_PORT=8008
MYSQL_PORT=3306
export HERE RUN DATA_VOLUME DATA DATADIR EMPTY_SERVER CONFIGURATION REPLICATION_USER APP_USER HEALTH_PORT
export MYSQL_PORT

mkdir --parents "$RUN"

# sql SECONDS: runs the SQL on its standard input as root, through the socket. SQL never is an
# argument, so no secret is ever in a process list.
sql() {
  timeout --kill-after=1 "$1" mysql --no-defaults --user=root --socket=/run/mysqld/mysqld.sock \
    --connect-timeout=2 --batch --skip-column-names --default-character-set=utf8mb4
}

# password NAME: a secret, known to be harmless between single quotes.
password() {
  local value
  value=$(secret "$1")
  [[ $value =~ ^[A-Za-z0-9]{20,128}$ ]] || fail "secret $1 is not of letters and digits"
  printf '%s' "$value"
}

# replication_password: a password for replication has at most 32 characters
# (https://dev.mysql.com/doc/refman/8.4/en/change-replication-source-to.html, SOURCE_PASSWORD);
# of a longer one the receiver would silently send another than the account has.
replication_password() {
  local value
  value=$(password mysql-replication-password) || return
  printf '%s' "${value:0:32}"
}

# peers: one line `name address` for each other database host.
peers() {
  local peer
  for peer in ${DATABASE_PEERS:-}; do
    printf '%s %s\n' "${peer%%:*}" "${peer#*:}"
  done
}

address_of() {
  local name address
  while read -r name address; do
    [[ $name != "$1" ]] || printf '%s\n' "$address"
  done < <(peers)
}

name_of() {
  local name address
  while read -r name address; do
    [[ $address != "$1" ]] || printf '%s\n' "$name"
  done < <(peers)
}
