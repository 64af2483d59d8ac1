# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from common.sh
# Where backups are kept: a restic repository, encrypted with a password of the cluster. All database hosts share it,
# and it outlives them.
#
# Tags describe its contents (https://restic.readthedocs.io/en/stable/040_backup.html#tags-for-backup):
#
#   dump    the app's database at one moment, as SQL
#   logs    the binary logs that a primary had closed; with `series-ID`, which numbers them, and `until-TIME`:
#           they contain everything committed before that moment (microseconds since 1970)
#
# and on each `founded-ID`: two with the same value belong to the same history.

# For jq programs: the value after a name in a snapshot's tags, - if there is none.
# shellcheck disable=SC2016,SC2034  # jq's own variables; read by whoever sources this file
TAG='def tag($name): (.tags // []) | map(select(startswith($name + "-"))[($name | length) + 1:])[0] // "-";'

# Read by status.sh.
BACKUP_STAMPS=/var/lib/cluster/backups
[[ -d $BACKUP_STAMPS ]] || mkdir --parents "$BACKUP_STAMPS"

# use_repository: gives restic the location and the credentials.
use_repository() {
  RESTIC_REPOSITORY=$(/opt/cluster/platform.sh backup-repository)
  secret backup-password >/dev/null
  # It may be slow, and must not take memory or CPU from the server.
  export RESTIC_REPOSITORY RESTIC_PASSWORD_FILE=/run/cluster/secrets/backup-password \
    RESTIC_CACHE_DIR=/var/cache/cluster/restic GOMAXPROCS=1 GOGC=25
}

# in_repository ARGUMENT...: restic, in a repository that is created if there is none yet (exit code 10,
# https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes).
in_repository() {
  local status=0
  restic --quiet --retry-lock 2m "$@" || status=$?
  if ((status == 10)); then
    log "creating the repository $RESTIC_REPOSITORY"
    restic --quiet init >&2
    status=0
    restic --quiet --retry-lock 2m "$@" || status=$?
  fi
  return "$status"
}

# founded: sets founded to the identifier of the history of this cluster's data: its first promotion.
founded() {
  ask 5 "SELECT server_uuid FROM cluster.primary_term ORDER BY term LIMIT 1;" && founded=${ROWS[0]:-}
  [[ -n ${founded:-} ]]
}

# archive_logs WHEN: puts the primary's binary logs into the repository, either always, or only if anything was
# committed since the last time (changed).
archive_logs() {
  local archiving archived=0
  # The timer, a backup and a restore may coincide, and there is only one such folder.
  exec {archiving}>"$DATABASE_RUN/archive.lock"
  flock "$archiving"
  archive_closed_logs "$1" || archived=$?
  exec {archiving}>&-
  return "$archived"
}

archive_closed_logs() {
  local until number log_file archived=0
  local directory=$DATABASE_VOLUME/closed-logs
  look
  if [[ $own_state != member || $own_primary != "$HOST_NAME" || $own_writability == closed ]]; then return; fi
  if [[ $1 == changed && $own_executed == "$(cat "$DATABASE_RUN/archived" 2>/dev/null)" ]]; then return; fi
  founded || return
  # shellcheck disable=SC2153  # a path, of common.sh
  [[ -s $SERIES ]] || cat /proc/sys/kernel/random/uuid >"$SERIES"
  until=${EPOCHREALTIME/[.,]/}
  ask 30 "FLUSH BINARY LOGS; SHOW BINARY LOGS;" || return
  # A folder of them, since a snapshot records each path it was given.
  rm --recursive --force "$directory" && mkdir "$directory" || return
  # All but the last, which is still being written.
  for ((number = 0; number < ${#ROWS[@]} - 1; number++)); do
    log_file=${ROWS[number]%%$'\t'*}
    ln "$DATA/$log_file" "$directory/$log_file" || return
  done
  in_repository backup --host "$CLUSTER_NAME" --group-by host,tags \
    --tag "logs,founded-$founded,series-$(<"$SERIES"),until-$until" "$directory" >&2 || archived=$?
  rm --recursive --force "$directory"
  ((archived == 0)) || return
  printf '%s\n' "$own_executed" >"$DATABASE_RUN/archived"
  printf '%s\n' "${until:0:-6}" >"$BACKUP_STAMPS/logs"
}
