#!/usr/bin/env bash
# Prints what mysqlbinlog tells of transactions of this host. Fails where they are not all in its binary logs any more.
#
#   logged.sh GTIDS
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=transactions.sh
source "$HERE/transactions.sh"

logs_of "${1:?GTIDS}"
mysqlbinlog --no-defaults --base64-output=DECODE-ROWS --include-gtids="$1" "${LOGS[@]}"
