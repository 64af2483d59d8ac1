#!/usr/bin/env bash
# Runs before every start of mysqld: puts the data volume where MySQL expects its data, and makes
# data, certificates and the size of the memory where there are none. In the unit rather than in
# the first boot, so that a reboot and a volume that comes late take the same way.
# shellcheck source=common.sh
source /opt/cluster/database/common.sh

# initialise: a fresh, empty server. It is made under another name and renamed at the end, so what
# stands under the final name is whole. An image may carry one ready to be copied.
initialise() {
  local new=$DATA.new
  rm --recursive --force "$new"
  if [[ -d $EMPTY_SERVER ]]; then
    cp --archive --reflink=auto "$EMPTY_SERVER" "$new"
  else
    install --directory --owner=mysql --group=mysql --mode=0750 "$new"
    # Where AppArmor lets mysqld write.
    mount --bind "$new" "$DATADIR"
    "$HERE/initialise.sh" "$DATADIR"
    umount "$DATADIR"
  fi
  sync --file-system "$new"
  mv "$new" "$DATA"
  sync --file-system "$DATA_VOLUME"
  log "initialised an empty server"
}

mount_data() {
  /opt/cluster/platform.sh data-volume "$DATA_VOLUME"
  mkdir --parents "$DATADIR"
  if [[ $DATADIR -ef $DATA ]]; then
    return
  fi
  # An interrupted initialisation may have left its mount behind.
  while mountpoint --quiet "$DATADIR"; do
    umount "$DATADIR"
  done
  [[ -d $DATA ]] || initialise
  # A rebuilt host may number its users differently.
  if [[ $(stat --format=%U:%G "$DATA/ibdata1") != mysql:mysql ]]; then
    chown --recursive mysql:mysql "$DATA"
  fi
  mount --bind "$DATA" "$DATADIR"
}

# size_memory: shares of the memory this host has; a container's limit shows in /proc/meminfo.
# Small hosts leave more to the server's other parts, which need some 350 MiB in any case.
size_memory() {
  local key kibibytes _ mebibytes pool connections
  while read -r key kibibytes _; do
    if [[ $key == MemTotal: ]]; then break; fi
  done </proc/meminfo
  mebibytes=$((kibibytes / 1024))
  pool=$((mebibytes <= 2048 ? mebibytes * 35 / 100 : mebibytes * 60 / 100))
  connections=$((mebibytes < 400 ? 100 : mebibytes > 8000 ? 2000 : mebibytes / 4))
  cat >"$CONFIGURATION/memory.cnf.new" <<CNF
[mysqld]
innodb_buffer_pool_size = $((pool < 64 ? 64 : pool))M
innodb_redo_log_capacity = $((mebibytes <= 2048 ? 128 : 1024))M
max_connections = $connections
# For each account: the app can never take the last connections from the replicas.
max_user_connections = $((connections - 20))
CNF
  mv "$CONFIGURATION/memory.cnf.new" "$CONFIGURATION/memory.cnf"
}

mount_data
size_memory
"$HERE/certificates.sh"
