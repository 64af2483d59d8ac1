# shellcheck shell=bash
# Information about transactions in the binary logs. Changes nothing.

# previous_gtids FILE: what the server had executed before it started this log.
previous_gtids() {
  mysqlbinlog --no-defaults --stop-position=100000 "$1" 2>/dev/null |
    awk '/Previous-GTIDs/ { inside = 1; next } /^# at / { inside = 0 }
      inside && /^# [0-9a-f]/ { sub("^# ", ""); printf "%s", $0 }'
}

# logs_of GTIDS: sets LOGS to the newest binary logs of this host that together contain all of these transactions. Fails
# if they are no longer all in one.
logs_of() {
  local file previous
  local -a files
  LOGS=()
  ask 5 "SELECT GTID_SUBSET('$1', GTID_SUBTRACT(@@gtid_executed, @@gtid_purged));" && [[ ${ROWS[0]} == 1 ]] ||
    return
  mapfile -t files < <(printf '%s\n' "$MYSQL_DATA_DIRECTORY"/binlog.[0-9]* | sort --reverse)
  for file in "${files[@]}"; do
    LOGS=("$file" "${LOGS[@]}")
    previous=$(previous_gtids "$file")
    ask 5 "SELECT GTID_SUBTRACT('$1', '$previous') = GTID_SUBTRACT('$1', '');" || return
    if [[ ${ROWS[0]} == 1 ]]; then return; fi
  done
}
