#!/usr/bin/env bash
# Makes the data of an empty server, with the time zones that this machine knows.
#
#   initialise.sh DIRECTORY      an empty directory that is mysql's
#   initialise.sh --time-zones   prints the statements alone that load the time zones, as one transaction
#
# No binary log is written: the server starts without a transaction of its own. It has no identity
# yet either: MySQL gives it one (auto.cnf) at its first start, so that this may be copied. Nothing
# is durable before the caller has synchronised it.
set -euo pipefail
ZONES=/usr/share/zoneinfo

# time_zones: https://dev.mysql.com/doc/refman/8.4/en/mysql-tzinfo-to-sql.html. Names of old, such as
# US/Eastern, are in a package of their own, but tzdata.zi names what each stands for. Zones that count leap
# seconds (right) are of no use to a server whose clock does not.
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

# AppArmor on Ubuntu lets mysqld read this folder, and root's files in no other that would do.
statements=$(mktemp /etc/mysql/initialise.XXXXXX)
trap 'rm --force "$statements"' EXIT
chmod 0644 "$statements"
# Debian's maintainer scripts and log rotation need debian-sys-maint; it is root by another name.
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
