#!/usr/bin/env bash
# Runs the container engine, Incus, and keeps our storage pool in it.
#
#   engine.sh start   make sure the engine answers and the pool is there
#   engine.sh stop    stop the engine if it was this script that started it
#
# Where systemd runs, the engine is its service. Elsewhere the daemons are started here, detached.

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

# Starts a program that outlives this script and its terminal, and notes that it was us.
start_detached() {
  local name=$1
  shift
  mkdir -p "$LOGS" "$PIDS"
  # It must not inherit our locks, so it closes every file but the standard ones.
  # shellcheck disable=SC2016 # the inner shell's own number, arguments and files
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
    # One that was killed leaves its mount behind, which nobody answers any more.
    if mountpoint -q /var/lib/lxcfs || ! exists stat /var/lib/lxcfs; then
      umount --lazy /var/lib/lxcfs 2>/dev/null || true
    fi
    mkdir -p /var/lib/lxcfs
    start_detached lxcfs lxcfs /var/lib/lxcfs
  fi
  if getent group incus-admin >/dev/null; then
    group=incus-admin
  fi
  # Told it may use AppArmor, the engine fails on a kernel that has none.
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
      fail "incus.service does not start" "look into it: journalctl -u incus.service -n 50"
  else
    start_daemons
  fi
  incus admin waitready --timeout 60 ||
    fail "the container engine did not come up within 60 s" "its log: $LOGS/incusd.log"
}

# raise_limit NAME VALUE: where the machine's is lower.
raise_limit() {
  local file=/proc/sys/${1//.//}
  if [[ -e $file ]] && (($(<"$file") < $2)); then
    printf '%s\n' "$2" >"$file" || say "$1 is $(<"$file") here and could not be raised to $2: not many hosts fit"
  fi
}

# What the kernel counts for all hosts together, because they share their users: with the usual 128 instances
# of inotify the eighteenth host starts without a network. Incus asks for the same
# (https://linuxcontainers.org/incus/docs/main/reference/server_settings/).
raise_limits() {
  raise_limit fs.inotify.max_user_instances 8192
  raise_limit fs.inotify.max_user_watches 524288
  raise_limit fs.aio-max-nr 524288
  raise_limit kernel.keys.maxkeys 2000
}

# The pool is a sparse file: its size is a bound, not what it takes.
make_pool() {
  exists incus storage show "$POOL" && return
  hold_lock pool
  exists incus storage show "$POOL" && return
  local free size
  free=$(df --output=avail -BG "${INCUS_DIR:-/var/lib/incus}" | tail -n 1 | tr -dc 0-9)
  size=$((free * 7 / 10))
  ((size <= 100)) || size=100
  ((size >= 4)) || fail "only $free GiB are free at ${INCUS_DIR:-/var/lib/incus}; hosts need 6"
  modprobe btrfs 2>/dev/null || true
  if grep -qw btrfs /proc/filesystems && [[ -n $(command -v mkfs.btrfs) ]] &&
    incus storage create "$POOL" btrfs size="${size}GiB" 2>"$STATE_DIRECTORY/pool.log"; then
    return
  fi
  say "btrfs cannot be used here; hosts get plain directories, which start more slowly"
  incus storage create "$POOL" dir || fail "the storage pool $POOL could not be made"
}

stop_daemon() {
  local pid
  [[ -f $PIDS/$1 ]] || return 0
  pid=$(<"$PIDS/$1")
  # A number that is another program's by now is left alone.
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
  *) fail "unknown command: ${1:-none}; known are start, stop" ;;
esac
