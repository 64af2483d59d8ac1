#!/usr/bin/env bash
# Makes this host use a secret as the platform has it now: one host's part in a step of its rotation (lib.sh lists the
# steps). Returns once it has taken effect here. Can be interrupted and repeated.
#
#   apply-secret.sh NAME [--restart]   with --restart a web server's app starts anew
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

if [[ $1 == etcd-authority-seed ]]; then role=etcd; else role=$HOST_ROLE; fi
exec "/opt/cluster/scripts/$role/apply-secret.sh" "$@"
