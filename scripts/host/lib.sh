# shellcheck shell=bash
# Sourced by every script on a host: strict mode, the facts, and common functions.
set -euo pipefail

# Facts are upper case, and all come from this file.
# shellcheck source=/dev/null disable=SC2153
source /etc/cluster/host.env

# Exists while an upgrade of this host is in progress, across its reboot.
# shellcheck disable=SC2034 # used by callers
UPGRADING=/var/lib/cluster/upgrading
# Exists from the request to reboot until the reboot, which empties /run.
# shellcheck disable=SC2034 # used by callers
REBOOTING=/run/cluster/rebooting

log() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

fail() {
  log "$*"
  exit 1
}

# milliseconds: sets `now` from the monotonic clock.
# shellcheck disable=SC2034 # used by callers
milliseconds() {
  local up
  read -r up _ </proc/uptime
  now=$((10#${up/./} * 10))
}

# Secrets are cached in memory-backed files that only root can read: NAME has the value in use, for programs that read a
# file, and NAME.rotation what the platform keeps while a secret is being rotated:
#
#   VALUE next OTHER       OTHER is to be accepted too, and not yet in use
#   VALUE previous OTHER   VALUE is in use from now on; OTHER is still accepted
#   VALUE former OTHER     OTHER is not accepted any more
#
# A host that is one of these steps behind, or ahead, uses a value that all others accept.
SECRETS=/run/cluster/secrets
ROTATING='^([A-Za-z0-9]+) (next|previous|former) ([A-Za-z0-9]+)$'

cache_secret() {
  (
    umask 0377
    printf '%s' "$2" >"$SECRETS/$1.$$"
  )
  mv --force "$SECRETS/$1.$$" "$SECRETS/$1"
}

# fetch_secret NAME: asks the platform for a secret, and caches it.
fetch_secret() {
  local content
  # Explicit check: in a command substitution, a failure would not end the caller.
  content=$(/opt/cluster/platform.sh secret "$1") || content=""
  [[ -n $content ]] || fail "the platform has no secret named $1"
  install --directory --mode=0700 "$SECRETS"
  if [[ $content =~ $ROTATING ]]; then
    cache_secret "$1.rotation" "$content"
    cache_secret "$1" "${BASH_REMATCH[1]}"
  else
    cache_secret "$1" "$content"
    rm --force "$SECRETS/$1.rotation"
  fi
}

# read_secret NAME: sets `value` to the value in use, `phase` to steady, next, previous or former, and `other` to the other
# value, empty while it is steady.
# shellcheck disable=SC2034 # used by callers
read_secret() {
  local content
  [[ -s $SECRETS/$1 ]] || fetch_secret "$1"
  if content=$(cat "$SECRETS/$1.rotation" 2>/dev/null) && [[ $content =~ $ROTATING ]]; then
    value=${BASH_REMATCH[1]} phase=${BASH_REMATCH[2]} other=${BASH_REMATCH[3]}
  else
    value=$(cat "$SECRETS/$1") phase=steady other=""
  fi
}

# secret NAME: prints the value in use.
secret() {
  # shellcheck disable=SC2034 # set by it
  local value phase other
  read_secret "$1"
  printf '%s' "$value"
}

# forget_secret NAME: the platform is asked for it again when it is next needed.
forget_secret() { rm --force "$SECRETS/$1" "$SECRETS/$1.rotation"; }

# checksum FILE...: checksum of all the files together; a missing file counts as empty.
checksum() {
  { cat -- "$@" 2>/dev/null || true; } | sha256sum
}

# changed STAMP FILE...: whether the files have changed since the last `mark STAMP FILE...`.
changed() {
  local stamp="/var/lib/cluster/stamps/$1"
  shift
  [[ ! -f $stamp ]] || [[ $(checksum "$@") != "$(<"$stamp")" ]]
}

mark() {
  local stamp="/var/lib/cluster/stamps/$1"
  shift
  mkdir --parents /var/lib/cluster/stamps
  checksum "$@" >"$stamp"
}

# unmark STAMP: the files count as changed until the next mark.
unmark() {
  rm --force "/var/lib/cluster/stamps/$1"
}

# enable_at_boot UNIT...: enables units for later boots. Without a daemon-reload, which is not needed for that and takes
# longer than most other steps; likewise without the links for SysV init (https://systemd.io/ENVIRONMENT/).
enable_at_boot() {
  SYSTEMCTL_SKIP_SYSV=1 systemctl enable --quiet --no-reload "$@"
}

# read_units UNIT...: makes systemd reload its units if one of these, or one that the facts declare, has changed on disk.
# Until then, changed drop-ins have no effect.
read_units() {
  local unit_names
  read -ra unit_names <<<"$UNITS"
  if [[ $(systemctl show --property NeedDaemonReload --value "$@" "${unit_names[@]}") == *yes* ]]; then
    systemctl daemon-reload
  fi
}

# enable_units: enables the units that the facts declare, and makes systemd read what has changed. Later links and drop-ins
# would cost another daemon-reload.
enable_units() {
  local unit_names
  read -ra unit_names <<<"$UNITS"
  enable_at_boot "${unit_names[@]}"
  read_units "cluster-*"
}

# keep_serving SERVICE CONFIGURATION...: starts a service with its configuration, which must be valid. If the service is
# already running, a change is applied by a reload, without interruption. Does nothing if nothing has changed.
keep_serving() {
  if changed "$@" || ! systemctl --quiet is-active "$1.service"; then
    systemctl reload-or-restart "$1.service"
    mark "$@"
  fi
}

# from_hex HEX: prints the bytes.
from_hex() {
  local hex=$1 escaped=""
  while [[ -n $hex ]]; do
    escaped+="\\x${hex:0:2}"
    hex=${hex:2}
  done
  printf '%b' "$escaped"
}

# sha256: prints the SHA-256 of standard input, hexadecimal.
sha256() {
  local sum
  sum=$(sha256sum)
  printf '%s' "${sum%% *}"
}

# hmac_sha256 KEY: prints the HMAC (RFC 2104) of standard input, hexadecimal. Not by openssl, which takes the key as an
# argument, where every process could read it; printf is a shell builtin.
hmac_sha256() {
  local key=$1 inner="" outer="" index byte code
  ((${#key} <= 64)) || fail "the HMAC key has ${#key} characters; at most 64 (a block of SHA-256) are supported"
  for ((index = 0; index < 64; index++)); do
    code=0
    if ((index < ${#key})); then printf -v code '%d' "'${key:index:1}"; fi
    printf -v byte '\\x%02x' $((code ^ 0x36))
    inner+=$byte
    printf -v byte '\\x%02x' $((code ^ 0x5c))
    outer+=$byte
  done
  {
    printf '%b' "$outer"
    from_hex "$(
      {
        printf '%b' "$inner"
        cat
      } | sha256
    )"
  } | sha256
}
