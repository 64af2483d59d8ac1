#!/usr/bin/env bash
# Starts and stops the container engine, Incus, and creates the storage pool for local clusters.
#
#   engine.sh start   ensures that the engine responds and the pool exists
#   engine.sh stop    stops the engine if this script started it
#
# With systemd, the engine is a systemd service. Otherwise this script starts the daemons itself, detached.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"

LOGS=/var/log/incus
PIDS=$STATE_DIRECTORY/daemons

find_daemon() {
  local candidate
  for candidate in "$(command -v incusd)" /usr/libexec/incus/incusd /usr/lib/incus/incusd /opt/incus/bin/incusd; do
    if [[ -x $candidate ]]; then
      printf '%s' "$candidate"
      return
    fi
  done
}

# Starts a program that outlives this script and its terminal, and records its process ID.
start_detached() {
  local name=$1
  shift
  mkdir -p "$LOGS" "$PIDS"
  # Closes all file descriptors but the standard ones, so that it does not inherit our locks.
  # shellcheck disable=SC2016 # for the inner shell
  setsid --fork bash -c '
    printf "%s" "$$" >"$1"
    shift
    for file in /proc/$$/fd/*; do
      file=${file##*/}
      ((file <= 2)) || eval "exec $file>&-"
    done
    exec "$@"' _ "$PIDS/$name" "$@" </dev/null >>"$LOGS/$name.out" 2>&1
}

start_daemons() {
  local daemon group=root
  daemon=$(find_daemon)
  [[ -n $daemon ]] || fail "incusd is not installed" "remedy: npm run up, which installs it"
  if [[ -n $(command -v lxcfs) && ! -e /var/lib/lxcfs/proc ]]; then
    # If lxcfs was killed, its stale mount is still there.
    if mountpoint -q /var/lib/lxcfs || ! exists stat /var/lib/lxcfs; then
      umount --lazy /var/lib/lxcfs 2>/dev/null || true
    fi
    mkdir -p /var/lib/lxcfs
    start_detached lxcfs lxcfs /var/lib/lxcfs
  fi
  if getent group incus-admin >/dev/null; then
    group=incus-admin
  fi
  # Without this, the engine fails on a kernel without AppArmor.
  if [[ ! -d /sys/kernel/security/apparmor ]]; then
    export INCUS_SECURITY_APPARMOR=false
  fi
  ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -H -n)"
  say "starting incusd"
  start_detached incusd "$daemon" --group "$group" --logfile "$LOGS/incusd.log"
}

start_engine() {
  [[ -n $(command -v incus) ]] ||
    fail "Incus, the container engine, is not installed" "remedy: npm run up, which installs it"
  engine_answers && return
  hold_lock engine
  engine_answers && return
  if [[ -d /run/systemd/system ]]; then
    systemctl start lxcfs.service 2>/dev/null || true
    systemctl start incus.socket incus.service ||
      fail "incus.service does not start" "its log: journalctl -u incus.service -n 50"
  else
    start_daemons
  fi
  incus admin waitready --timeout 60 ||
    fail "the container engine did not come up within 60 s" "its log: $LOGS/incusd.log"
}

# raise_limit NAME VALUE: raises a kernel parameter if it is lower.
raise_limit() {
  local file=/proc/sys/${1//.//}
  if [[ -e $file ]] && (($(<"$file") < $2)); then
    printf '%s\n' "$2" >"$file" ||
      say "$1 is $(<"$file") and could not be raised to $2: this machine can run only a few hosts"
  fi
}

# These limits apply to all hosts together, because their user IDs are mapped to the same range: with the default of 128
# inotify instances, the eighteenth host starts without a network. Incus recommends the same
# (https://linuxcontainers.org/incus/docs/main/reference/server_settings/).
raise_limits() {
  raise_limit fs.inotify.max_user_instances 8192
  raise_limit fs.inotify.max_user_watches 524288
  raise_limit fs.aio-max-nr 524288
  raise_limit kernel.keys.maxkeys 2000
}

# The pool is a sparse file: its size is an upper limit, and is not allocated.
make_pool() {
  exists incus storage show "$POOL" && return
  hold_lock pool
  exists incus storage show "$POOL" && return
  local free size
  free=$(df --output=avail -BG "${INCUS_DIR:-/var/lib/incus}" | tail -n 1 | tr -dc 0-9)
  size=$((free * 7 / 10))
  ((size <= 100)) || size=100
  ((size >= 4)) || fail "only $free GiB are free in ${INCUS_DIR:-/var/lib/incus}; hosts need 6 GiB"
  modprobe btrfs 2>/dev/null || true
  if grep -qw btrfs /proc/filesystems && [[ -n $(command -v mkfs.btrfs) ]] &&
    incus storage create "$POOL" btrfs size="${size}GiB" 2>"$STATE_DIRECTORY/pool.log"; then
    return
  fi
  say "btrfs is not available; using a storage pool of plain directories, from which hosts are created more slowly"
  incus storage create "$POOL" dir || fail "the storage pool $POOL could not be created"
}

stop_daemon() {
  local pid
  [[ -f $PIDS/$1 ]] || return 0
  pid=$(<"$PIDS/$1")
  # The process ID may belong to another program by now.
  if [[ -e /proc/$pid/exe && $(readlink "/proc/$pid/exe") == */"$1" ]]; then
    say "stopping $1"
    kill "$pid"
    for _ in {1..100}; do
      [[ -e /proc/$pid ]] || break
      sleep 0.1
    done
  fi
  rm -f "$PIDS/$1"
}

use_project default
case ${1:-} in
  start)
    raise_limits
    start_engine
    make_pool
    ;;
  stop)
    stop_daemon incusd
    stop_daemon lxcfs
    ;;
  *) fail "unknown command: ${1:-none}; there are start, stop" ;;
esac
