#!/usr/bin/env bash
# Restores the app's database from the cluster's repository.
#
#   restore.sh plan [TIME]       what would be restored: prints PLAN, tab-separated fields
#   restore.sh fetch DUMP LOGS   on the primary: fetches the backup, and verifies that nothing is missing and that
#                                all of it can be loaded; prints what will differ
#   restore.sh begin             from now on this host does not serve
#   restore.sh apply TIME        on the primary: executes the fetched backup; prints the transactions it then has
#   restore.sh end GTIDS         once this host has these transactions, it serves again
#
# TIME is a moment in date(1) format, with any number of decimal places for the seconds; if omitted, everything that is
# archived is restored. PLAN is: dump, its time, logs (`SNAPSHOT:SERIES` with commas, or -), the time up to which they
# reach (microseconds, or -), TIME as microseconds (or -), and the number of tables here that have rows.
#
# All of it becomes new transactions of the primary, which replicas replicate like any other.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=engines.sh
source "$HERE/engines.sh"
# shellcheck source=repository.sh
source "$HERE/repository.sh"
# shellcheck source=transactions.sh
source "$HERE/transactions.sh"

WORK=$DATABASE_VOLUME/restore
# The parts of WORK to execute: the transactions that the dump has, then a line for each part of the logs, oldest first:
# its first file, and the transactions to take from it and the following ones, - for all.
PARTS=$WORK/parts

# Snapshots as lines: `dump|logs id founded series time until`, oldest first. The time of a dump is when it was
# complete: everything in it was committed before.
# shellcheck disable=SC2016  # jq's own variables
SNAPSHOTS=$TAG'
  def kind: (.tags // []) as $tags | if $tags | index("dump") then "dump"
    elif $tags | index("logs") then "logs" else empty end;
  sort_by(.time)[] | [kind, .id, tag("founded"), tag("series"),
    .summary.backup_end // .time, tag("until")] | @tsv'

# microseconds TIME: since 1970. The decimal places are parsed here: the date(1) of Ubuntu 26.04 (uutils 0.8) drops
# leading zeros of %N, and rounds @SECONDS.FRACTION. https://github.com/uutils/coreutils/issues/12001
microseconds() {
  local time=$1 fraction="" seconds
  if [[ $time =~ ^(.*:[0-9]{2}|@[0-9]+)[.,]([0-9]+)(.*)$ ]]; then
    time=${BASH_REMATCH[1]}${BASH_REMATCH[3]} fraction=${BASH_REMATCH[2]}
  fi
  seconds=$(date --date "$time" +%s 2>/dev/null) || fail "not a time: $1; wanted is a format that date(1) reads, such as 2026-11-25T09:30:00Z"
  fraction+=000000
  printf '%s' "$seconds${fraction:0:6}"
}

# moment MICROSECONDS: the same as a time that people and microseconds() can read.
moment() {
  printf '%s.%sZ' "$(date --utc --date "@${1:0:-6}" +%FT%T)" "${1: -6}"
}

is_the_primary() {
  look
  [[ $own_state == member && $own_primary == "$HOST_NAME" && $own_writability != closed ]]
}

# count_tables: prints how many tables of the app's database have rows.
count_tables() {
  local table count=0
  local -a tables
  ask 10 "SELECT table_name FROM information_schema.tables
    WHERE table_schema = '$DATABASE_NAME' AND table_type = 'BASE TABLE';" || return
  tables=("${ROWS[@]}")
  for table in "${tables[@]}"; do
    ask 10 "SELECT EXISTS (SELECT 1 FROM \`$DATABASE_NAME\`.\`${table//\`/\`\`}\`);" || return
    ((count += ROWS[0])) || true
  done
  printf '%s' "$count"
}

plan() {
  local to=- snapshots kind id history series time until
  local dump="" dump_time="" dump_history="" logs="" reaches=- tables
  if [[ -n ${1:-} ]]; then to=$(microseconds "$1"); fi
  is_the_primary || fail "$HOST_NAME is not the primary, and a restore runs on the primary"
  archive_logs always || fail "the binary logs were not archived"
  snapshots=$(in_repository snapshots --json | jq --raw-output "$SNAPSHOTS")
  while IFS=$'\t' read -r kind id history series time until; do
    if [[ $kind == dump ]] && { [[ $to == - ]] || (($(microseconds "$time") <= to)); }; then
      dump=$id dump_time=$time dump_history=$history
    fi
  done <<<"$snapshots"
  [[ -n $dump ]] || fail "there is no backup${1:+ from $1 or earlier}"
  # Each later snapshot of a series contains everything in an earlier one. The first that reaches the moment is enough,
  # together with earlier ones of other series.
  while IFS=$'\t' read -r kind id history series time until; do
    if [[ $kind == logs && $history == "$dump_history" ]] && { [[ $to == - || $reaches == - ]] || ((reaches < to)); }; then
      reaches=$until
      logs+=",$id:$series"
    fi
  done <<<"$snapshots"
  if [[ $to != - ]] && { [[ $reaches == - ]] || ((reaches < to)); }; then
    if [[ $reaches == - ]]; then fail "no binary logs are archived from after the backup of $dump_time"; fi
    fail "binary logs are archived only up to $(moment "$reaches"): restore that moment or an earlier one"
  fi
  tables=$(count_tables) || fail "the server does not answer"
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$dump" "$dump_time" "$(newest_of_series "${logs#,}")" "$reaches" "$to" "$tables"
}

# newest_of_series LOGS: from `ID:SERIES` with commas, oldest first, the last of each series, newest first.
newest_of_series() {
  local entry chosen="" seen=","
  local -a entries
  IFS=, read -ra entries <<<"$1"
  local index
  for ((index = ${#entries[@]} - 1; index >= 0; index--)); do
    entry=${entries[index]}
    if [[ $seen == *,"${entry#*:}",* ]]; then continue; fi
    seen+="${entry#*:},"
    chosen+=",$entry"
  done
  chosen=${chosen#,}
  printf '%s' "${chosen:--}"
}

# subset SET SET: whether the second contains all of the first.
subset() {
  ask 10 "SELECT GTID_SUBSET('$1', '$2');" && [[ ${ROWS[0]} == 1 ]]
}

# choose_logs HAD LOGS: fetches logs until they continue from what the dump had, and prints their parts.
choose_logs() {
  local had=$1 entry id directory only=- previous file parts=""
  local -a entries files
  if [[ $2 == - ]]; then return; fi
  IFS=, read -ra entries <<<"$2"
  for entry in "${entries[@]}"; do
    id=${entry%%:*}
    directory=$WORK/$id
    in_repository restore "$id" --target "$directory" >/dev/null || return
    mapfile -t files < <(find "$directory" -name 'binlog.*' | sort --reverse)
    ((${#files[@]} > 0)) || fail "snapshot $id should contain binary logs, but contains none"
    previous=""
    for file in "${files[@]}"; do
      previous=$(previous_gtids "$file")
      if subset "$previous" "$had"; then
        printf '%s\n%s' "$file $only" "$parts"
        return
      fi
    done
    parts="${files[-1]} $only"$'\n'$parts
    # Of an older series, only what this one started from is part of its history.
    only=$previous
  done
  fail "transactions between the backup and the oldest archived binary log are missing"
}

# as_new UNTIL: turns transactions of a log into new ones, up to the first that was committed after that moment.
# Excludes the cluster's own records.
as_new() {
  awk -v until="$1" '
    /^#.*original_committed_timestamp=/ {
      split($0, parts, "original_committed_timestamp=")
      if (until != "-" && parts[2] + 0 > until + 0) over = 1
    }
    over { next }
    /original_commit_timestamp/ { next }
    /^SET @@SESSION.GTID_NEXT=/ { print "SET @@SESSION.GTID_NEXT= '\''AUTOMATIC'\''/*!*/;"; next }
    { print }'
}

# logged UNTIL PARTS: what the logs contain beyond the dump's transactions, as statements.
logged() {
  local until=$1 had first only
  local -a files options
  {
    IFS= read -r had
    while read -r first only; do
      mapfile -t files < <(find "$(dirname -- "$first")" -name 'binlog.*' | sort |
        awk -v first="$first" '$0 >= first')
      options=(--no-defaults --database="$DATABASE_NAME")
      if [[ -n $had ]]; then options+=(--exclude-gtids="$had"); fi
      if [[ $only != - ]]; then options+=(--include-gtids="$only"); fi
      # Filtering by database is intended, so its warning is dropped.
      mysqlbinlog "${options[@]}" "${files[@]}" 2> >(grep --invert-match 'The option --database' >&2) |
        as_new "$until" | as_innodb
    done
  } <"$2"
}

# look_at_versions: a server supports what its own series and older ones support. What a newer series has beyond that
# must be known before anything is replaced.
look_at_versions() {
  local theirs ours
  theirs=$(sed --quiet '/^-- Server version/{s/.*\t//p;q}' "$WORK/dump.sql")
  ask 5 "SELECT @@version;" || fail "the server does not answer"
  ours=${ROWS[0]}
  [[ -n $theirs ]] || return 0
  if [[ $(printf '%s\n' "${theirs%.*}" "${ours%.*}" | sort --version-sort | tail --lines=1) != "${ours%.*}" ]]; then
    log "the backup is from MySQL $theirs, this server is $ours"
    tables_of_dump <"$WORK/dump.sql" | made_here "$theirs" "$ours"
  fi
}

fetch() {
  local had
  rm --recursive --force "$WORK"
  install --directory --mode=0700 "$WORK"
  in_repository dump "$1" "/$DATABASE_NAME.sql" >"$WORK/dump.sql"
  look_at_versions
  had=$(sed --quiet '/GTID_PURGED=/,/;/p' "$WORK/dump.sql" | tr -d '\n ' |
    sed "s/.*GTID_PURGED='+\?\([^']*\)'.*/\1/")
  {
    printf '%s\n' "$had"
    choose_logs "$had" "$2"
  } >"$PARTS.new"
  {
    tables_of_dump InnoDB <"$WORK/dump.sql"
    logged - "$PARTS.new" | tables_of_log
  } | become_innodb
  mv "$PARTS.new" "$PARTS"
}

apply() {
  lock_part 60
  is_the_primary || fail "$HOST_NAME is not the primary, and a restore runs on the primary"
  # Only of the app: replication and root still write.
  printf '%s\n' "SET SESSION lock_wait_timeout = 2; SET GLOBAL read_only = ON;" | sql 5 ||
    fail "the server could not be made read-only within 5 s"
  # Clients that are still connected as the app must not see half of it.
  ask 10 "SELECT CONCAT('KILL ', id, ';') FROM performance_schema.processlist
    WHERE user IN ('$DATABASE_USER', '$DATABASE_READ_USER');" || true
  printf '%s\n' "${ROWS[@]}" | sql 10 2>/dev/null || true
  log "loading the backup"
  sed --regexp-extended '/^SET @@SESSION.SQL_LOG_BIN/d' "$WORK/dump.sql" | as_innodb | sql infinity
  log "executing the transactions that follow it"
  logged "$1" "$PARTS" | sql infinity
  rm --recursive --force "$WORK"
  ask 10 "SELECT REPLACE(@@gtid_executed, '\n', '');" || fail "the server does not answer"
  printf '%s\n' "${ROWS[0]}"
}

end() {
  # Without a timeout: a replica executes one transaction after the other, or clones.
  until ask 40 "SELECT WAIT_FOR_EXECUTED_GTID_SET('$1', 30);" && [[ ${ROWS[0]:-} == 0 ]]; do
    sleep 1
  done
  rm --force "$RESTORING"
  "$HERE/agent.sh" observe
}

# Tests source everything above.
[[ ${BASH_SOURCE[0]} == "$0" ]] || return 0

case ${1:-}:$# in
  plan:[12])
    use_repository
    plan "${2:-}"
    ;;
  begin:1)
    touch "$RESTORING"
    sync "$DATABASE_VOLUME"
    "$HERE/agent.sh" observe
    ;;
  fetch:3)
    use_repository
    fetch "$2" "$3"
    ;;
  apply:2)
    [[ -e $RESTORING && -e $PARTS ]] || fail "run restore.sh fetch and restore.sh begin first"
    apply "$2"
    ;;
  end:2)
    end "$2"
    ;;
  *) fail "usage: restore.sh plan [TIME] | fetch DUMP LOGS | begin | apply TIME | end GTIDS" ;;
esac
