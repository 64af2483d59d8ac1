#!/usr/bin/env bash
# Builds a stand-in for AWS's package of the SSM agent: its unit runs, and does nothing.
#
#   agent-package.sh NAME FILE
set -euo pipefail

name=$1 file=$2
directory=$(mktemp --directory)
trap 'rm --recursive --force "$directory"' EXIT
mkdir --parents "$directory/DEBIAN" "$directory/usr/lib/systemd/system"
cat >"$directory/DEBIAN/control" <<CONTROL
Package: $name
Version: 1.0
Architecture: amd64
Maintainer: nobody <nobody@example.com>
Description: stands in for the agent of AWS Systems Manager
CONTROL
cat >"$directory/usr/lib/systemd/system/$name.service" <<UNIT
[Unit]
Description=Stands in for the agent of AWS Systems Manager

[Service]
ExecStart=/bin/sleep infinity
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
chmod 0755 "$directory"
dpkg-deb --root-owner-group --build "$directory" "$file" >/dev/null
