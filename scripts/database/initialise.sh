#!/usr/bin/env bash
# Creates the data of an empty server, with this machine's time zones.
#
#   initialise.sh DIRECTORY      an empty directory owned by mysql
#   initialise.sh --time-zones   only prints the statements that load the time zones, as one transaction
#
# No binary log is written: the server starts without a transaction of its own. It has no identity yet either: MySQL
# gives it one (auto.cnf) at its first start, so the data may be copied. Nothing is durable until the caller syncs it.
set -euo pipefail
ZONES=/usr/share/zoneinfo

# time_zones: https://dev.mysql.com/doc/refman/8.4/en/mysql-tzinfo-to-sql.html. Old names, such as US/Eastern, are in a
# separate package, but tzdata.zi says what each refers to. Zones with leap seconds (right) are useless to a server
# whose clock has none.
time_zones() {
  local copy target name _
  copy=$(mktemp --directory)
  cp --archive "$ZONES/." "$copy"
  rm --recursive --force "$copy/right" "$copy/posix" "$copy/posixrules" "$copy/localtime" "$copy/Factory"
  while read -r _ target name _; do
    if [[ -f $copy/$target && ! -e $copy/$name ]]; then
      mkdir --parents "$copy/$(dirname "$name")"
      ln "$copy/$target" "$copy/$name"
    fi
  done < <(grep '^L ' "$ZONES/tzdata.zi")
  # TRUNCATE would end the transaction.
  mysql_tzinfo_to_sql "$copy" 2>/dev/null | sed \
    -e '/^TRUNCATE/d' \
    -e 's/^INSERT INTO time_zone/INSERT INTO mysql.time_zone/' \
    -e '/^START TRANSACTION;/a DELETE FROM mysql.time_zone;\nDELETE FROM mysql.time_zone_name;\nDELETE FROM mysql.time_zone_transition;\nDELETE FROM mysql.time_zone_transition_type;'
  rm --recursive --force "$copy"
}

if [[ $1 == --time-zones ]]; then
  time_zones
  exit
fi
directory=$1

# AppArmor on Ubuntu lets mysqld read this folder, and root's files in no other suitable one.
statements=$(mktemp /etc/mysql/initialise.XXXXXX)
trap 'rm --force "$statements"' EXIT
chmod 0644 "$statements"
# Debian's maintainer scripts and log rotation need debian-sys-maint; it is root under another name.
cat >"$statements" <<'SQL'
INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';
ALTER USER 'root'@'localhost' IDENTIFIED WITH auth_socket;
CREATE USER 'debian-sys-maint'@'localhost' IDENTIFIED WITH auth_socket AS 'root';
GRANT ALL ON *.* TO 'debian-sys-maint'@'localhost' WITH GRANT OPTION;
SQL
time_zones >>"$statements"
mysqld --no-defaults --user=mysql --datadir="$directory" --initialize-insecure \
  --init-file="$statements" --skip-log-bin --log-error-verbosity=1 \
  --auto-generate-certs=OFF --sha256-password-auto-generate-rsa-keys=OFF \
  --caching-sha2-password-auto-generate-rsa-keys=OFF \
  --innodb-doublewrite=OFF --innodb-flush-method=nosync --innodb-redo-log-capacity=8M
rm --force "$directory/auto.cnf"
