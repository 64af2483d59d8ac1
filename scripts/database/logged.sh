#!/usr/bin/env bash
# Prints mysqlbinlog's output for transactions of this host. Fails if they are no longer all in its binary logs.
#
#   logged.sh GTIDS
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=transactions.sh
source "$HERE/transactions.sh"

logs_of "${1:?GTIDS}"
mysqlbinlog --no-defaults --base64-output=DECODE-ROWS --include-gtids="$1" "${LOGS[@]}"
