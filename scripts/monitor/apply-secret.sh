#!/usr/bin/env bash
# Applies a secret that the platform has changed: apply-secret.sh NAME.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

forget_secret "$1"
/opt/cluster/scripts/monitor/receivers.sh
