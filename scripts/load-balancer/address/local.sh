#!/usr/bin/env bash
# How the visitors' address is claimed locally: all hosts are on one network, so keepalived has done that already, by
# telling the network whose it is.
#
#   local.sh claim
# shellcheck source=../../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

[[ ${1:-}:$# == claim:1 ]] || fail "usage: local.sh claim"
