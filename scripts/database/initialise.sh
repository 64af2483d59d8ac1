#!/usr/bin/env bash
# Makes the data of an empty server.
#
#   initialise.sh DIRECTORY   an empty directory that is mysql's
#
# No binary log is written: the server starts without a transaction of its own. It has no identity
# yet either: MySQL gives it one (auto.cnf) at its first start, so that this may be copied. Nothing
# is durable before the caller has synchronised it.
set -euo pipefail
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
mysqld --no-defaults --user=mysql --datadir="$directory" --initialize-insecure \
  --init-file="$statements" --skip-log-bin --log-error-verbosity=1 \
  --auto-generate-certs=OFF --sha256-password-auto-generate-rsa-keys=OFF \
  --caching-sha2-password-auto-generate-rsa-keys=OFF \
  --innodb-doublewrite=OFF --innodb-flush-method=nosync --innodb-redo-log-capacity=8M
rm --force "$directory/auto.cnf"
