#!/usr/bin/env bash
# Runs before every start of mysqld: mounts the data volume where MySQL expects its data, and creates data, certificates
# and memory settings if there are none. It is in the unit rather than in the first boot, so that a reboot and a volume
# that comes late take the same path.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

# initialise: a new, empty server. It is created under a temporary name and renamed at the end, so the data under the
# final name is complete. An image may have one ready to be copied.
initialise() {
  local new=$DATA.new
  rm --recursive --force "$new"
  if [[ -d $EMPTY_SERVER ]]; then
    cp --archive --reflink=auto "$EMPTY_SERVER" "$new"
  else
    install --directory --owner=mysql --group=mysql --mode=0750 "$new"
    # A place where AppArmor lets mysqld write.
    mount --bind "$new" "$MYSQL_DATA_DIRECTORY"
    "$HERE/initialise.sh" "$MYSQL_DATA_DIRECTORY"
    umount "$MYSQL_DATA_DIRECTORY"
  fi
  sync --file-system "$new"
  mv "$new" "$DATA"
  sync --file-system "$DATABASE_VOLUME"
  log "initialised an empty server"
}

# damaged_file: names a data file with a page that does not match its checksum, if there is one.
# https://dev.mysql.com/doc/refman/8.4/en/innochecksum.html
damaged_file() {
  local file
  while IFS= read -r -d "" file; do
    if ! innochecksum "$file" >/dev/null 2>&1; then
      printf '%s' "$file"
      return
    fi
  done < <(find "$DATA" -type f \( -name '*.ibd' -o -name 'ibdata*' -o -name 'undo_*' \) -print0)
}

# could_start: whether the server would start if its data were sound.
could_start() {
  fallocate --length "$DATABASE_RESERVE" "$DATABASE_VOLUME/reserve" 2>/dev/null || return
  rm --force "$DATABASE_VOLUME/reserve"
  mysqld --defaults-file="$MYSQL_CONFIGURATION/mysqld.cnf" --validate-config 2>/dev/null
}

# put_damaged_aside: if the server crashed and its data is damaged, or if it does not start at all, the data is moved
# away, and the host clones the primary's. Only if it is merely a copy: an operator has to judge a primary's data.
put_damaged_aside() {
  local crashes file
  [[ -e $CRASHED && -d $DATA ]] || return 0
  crashes=$(<"$CRASHED")
  file=$(damaged_file)
  if [[ -z $file ]]; then
    ((${crashes:-0} >= 5)) && could_start || return 0
    file="the server does not start"
  fi
  log "the data is damaged: $file"
  if [[ ! -e $FOLLOWS ]]; then
    log "it is not a copy of another host's data, so it is kept: restore a backup, or promote another host"
    return
  fi
  if mountpoint --quiet "$MYSQL_DATA_DIRECTORY"; then umount "$MYSQL_DATA_DIRECTORY"; fi
  rm --recursive --force "$DAMAGED"
  mv "$DATA" "$DAMAGED"
  rm --force "$CRASHED" "$SERIES"
  sync --file-system "$DATABASE_VOLUME"
  log "it was moved to $DAMAGED, and this host starts empty"
}

mount_data() {
  mkdir --parents "$MYSQL_DATA_DIRECTORY"
  if [[ $MYSQL_DATA_DIRECTORY -ef $DATA ]]; then
    return
  fi
  # An interrupted initialisation may have left its mount behind.
  while mountpoint --quiet "$MYSQL_DATA_DIRECTORY"; do
    umount "$MYSQL_DATA_DIRECTORY"
  done
  [[ -d $DATA ]] || initialise
  # User IDs may differ on a rebuilt host.
  if [[ $(stat --format=%U:%G "$DATA/ibdata1") != mysql:mysql ]]; then
    chown --recursive mysql:mysql "$DATA"
  fi
  mount --bind "$DATA" "$MYSQL_DATA_DIRECTORY"
}

# size_memory: shares of the host's memory minus the agent's and etcd's; /proc/meminfo reflects a container's limit. Small hosts
# leave more to the server's other parts, which need some 350 MiB in any case.
size_memory() {
  local key kibibytes _ mebibytes pool connections
  while read -r key kibibytes _; do
    if [[ $key == MemTotal: ]]; then break; fi
  done </proc/meminfo
  mebibytes=$((kibibytes / 1024 - DATABASE_AGENT_MEBIBYTES - ETCD_MEBIBYTES))
  pool=$((mebibytes <= 2048 ? mebibytes * 35 / 100 : mebibytes * 60 / 100))
  connections=$((mebibytes < 400 ? 100 : mebibytes > 8000 ? 2000 : mebibytes / 4))
  cat >"$MYSQL_CONFIGURATION/memory.cnf.new" <<CNF
[mysqld]
innodb_buffer_pool_size = $((pool < 64 ? 64 : pool))M
innodb_redo_log_capacity = $((mebibytes <= 2048 ? 128 : 1024))M
max_connections = $connections
# Per account: the app can never take the last connections from the replicas.
max_user_connections = $((connections - 20))
CNF
  mv "$MYSQL_CONFIGURATION/memory.cnf.new" "$MYSQL_CONFIGURATION/memory.cnf"
}

new_incarnation
/opt/cluster/platform.sh data-volume "$DATABASE_VOLUME"
size_memory
put_damaged_aside
mount_data
"$HERE/certificates.sh"
