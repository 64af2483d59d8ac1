#!/usr/bin/env bash
# Backs up the app's database, encrypted, into the cluster's repository.
#
#   backup.sh dump        a consistent dump of it; removes backups older than the retention period
#   backup.sh scheduled   the same, on one host of the cluster: a fresh replica, otherwise the primary
#   backup.sh logs        the primary's binary logs, if anything was written since the last time
#   backup.sh list        prints, as JSON, each dump and how far the logs of its history reach (microseconds
#                         since 1970, 0 if there are none)
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=engines.sh
source "$HERE/engines.sh"
# shellcheck source=repository.sh
source "$HERE/repository.sh"

# As the server's root account, like everywhere. Without --source-data the dump would flush tables with a statement that
# becomes a transaction of the replica's own (MySQL bug 115022).
dump() {
  founded || fail "the server does not answer, or has no data yet"
  in_repository backup --host "$CLUSTER_NAME" --tag "dump,founded-$founded" \
    --stdin-filename "$DATABASE_NAME.sql" --stdin-from-command -- \
    mysqldump --no-defaults --user=root --socket="$MYSQL_SOCKET" --single-transaction --quick \
    --source-data=2 --set-gtid-purged=COMMENTED --routines --triggers --events --no-tablespaces \
    --add-drop-database --databases "$DATABASE_NAME" >&2
  printf '%s\n' "$EPOCHSECONDS" >"$BACKUP_STAMPS/dump"
  log "dumped $DATABASE_NAME"
  if look_for_other_tables && ((${#other_tables[@]} > 0)); then
    log "tables without transactions may be inconsistent in the dump: $(name_tables "${other_tables[@]}"); a restore converts them to InnoDB"
  fi
  # Logs older than the oldest dump are useless.
  in_repository forget --group-by '' --tag dump --keep-within "${BACKUP_KEEP_DAYS}d" >&2
  in_repository forget --group-by '' --tag logs --keep-within "${BACKUP_KEEP_DAYS}d" --prune >&2
}

# answers PATH HOST: whether that host answers yes.
answers() {
  curl --silent --fail --output /dev/null --max-time 2 "http://$2:$DATABASE_HEALTH_PORT/$1"
}

# is_chosen: whether this host is the one that dumps: the first of the fresh replicas, or the primary if there is none,
# or if a replica may lack rows.
is_chosen() {
  local peer
  look_for_other_tables || return
  if ((${#other_tables[@]} > 0)); then
    answers primary "$HOST_ADDRESS"
    return
  fi
  if answers replica "$HOST_ADDRESS"; then
    for peer in ${DATABASE_PEERS:-}; do
      if [[ ${peer%%:*} < $HOST_NAME ]] && answers replica "${peer#*:}"; then return 1; fi
    done
    return 0
  fi
  answers primary "$HOST_ADDRESS" || return
  for peer in ${DATABASE_PEERS:-}; do
    if answers replica "${peer#*:}"; then return 1; fi
  done
}

# shellcheck disable=SC2016  # jq's own variables
LIST=$TAG'
  (map({key: tag("founded"), value: (tag("until") | if . == "-" then 0 else tonumber end)})
    | group_by(.key) | map({key: .[0].key, value: (map(.value) | max)}) | from_entries) as $reaches
  | map(select((.tags // []) | index("dump"))) | sort_by(.time)
  | map({id, completeAt: (.summary.backup_end // .time), bytes: (.summary.total_bytes_processed // 0),
      reaches: $reaches[tag("founded")]})'

use_repository
exec {backing_up}>"$DATABASE_RUN/backup.lock"
case ${1:-} in
  dump)
    flock "$backing_up"
    dump
    ;;
  scheduled)
    flock --nonblock "$backing_up" || exit 0
    if is_chosen; then dump; fi
    ;;
  logs)
    flock "$backing_up"
    archive_logs changed || fail "the binary logs were not archived"
    ;;
  list) in_repository snapshots --json | jq --compact-output "$LIST" ;;
  *) fail "usage: backup.sh dump|scheduled|logs|list" ;;
esac
