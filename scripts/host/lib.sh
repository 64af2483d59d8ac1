# shellcheck shell=bash
# What every script on a host starts with: strict mode, the facts, and a few words.
set -euo pipefail

# Facts are upper case and come from this file alone.
# shellcheck source=/dev/null disable=SC2153
source /etc/cluster/host.env

# There while an upgrade of this host is under way, over its reboot.
# shellcheck disable=SC2034 # for who called
UPGRADING=/var/lib/cluster/upgrading
# There from the order to reboot until the host has: what is in /run goes with it.
# shellcheck disable=SC2034 # for who called
REBOOTING=/run/cluster/rebooting

log() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

fail() {
  log "$*"
  exit 1
}

# milliseconds: sets `now`, of a clock that nobody sets.
# shellcheck disable=SC2034 # for who called
milliseconds() {
  local up
  read -r up _ </proc/uptime
  now=$((10#${up/./} * 10))
}

# secret NAME: prints a secret. It is kept in memory-backed files only, for root.
secret() {
  local file="/run/cluster/secrets/$1" value
  if [[ ! -s $file ]]; then
    # In a substitution, where this mostly runs, the shell would go on with half of one.
    value=$(/opt/cluster/platform.sh secret "$1") || value=""
    [[ -n $value ]] || fail "the platform has no secret named $1"
    install --directory --mode=0700 /run/cluster/secrets
    (
      umask 0377
      printf '%s' "$value" >"$file.$$"
    )
    mv --force "$file.$$" "$file"
  fi
  cat "$file"
}

# checksum FILE...: one that is not there counts as empty.
checksum() {
  { cat -- "$@" 2>/dev/null || true; } | sha256sum
}

# changed STAMP FILE...: whether the files differ from what `mark STAMP FILE...` last saw.
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

# unmark STAMP: until the next mark all of it counts as changed.
unmark() {
  rm --force "/var/lib/cluster/stamps/$1"
}

# enable_at_boot UNIT...: they start with the host. Whether systemd knows so is of no matter before the next
# boot, and telling it has it read every unit again, which takes longer than most of what is done here. The
# same goes for links of the old kind (https://systemd.io/ENVIRONMENT/).
enable_at_boot() {
  SYSTEMCTL_SKIP_SYSV=1 systemctl enable --quiet --no-reload "$@"
}

# read_units UNIT...: has systemd read its units again if it has not read a change of one of these. Drop-ins that it has not
# read are not in effect.
read_units() {
  if [[ $(systemctl show --property NeedDaemonReload --value "$@") == *yes* ]]; then systemctl daemon-reload; fi
}

# has_read UNIT DROP_IN: whether systemd goes by the drop-in. A unit that it had not needed yet it reads now.
has_read() {
  [[ $(systemctl show --property DropInPaths --value "$1") == *"$2"* ]]
}

# keep_serving SERVICE CONFIGURATION: runs a service with its configuration, which must be sound. What
# serves already takes a change over without closing its door; nothing is done where nothing changed.
keep_serving() {
  enable_at_boot "$1.service"
  if changed "$1" "$2" || ! systemctl --quiet is-active "$1.service"; then
    systemctl reload-or-restart "$1.service"
    mark "$1" "$2"
  fi
}

# from_hex HEX: the bytes.
from_hex() {
  local hex=$1 escaped=""
  while [[ -n $hex ]]; do
    escaped+="\\x${hex:0:2}"
    hex=${hex:2}
  done
  printf '%b' "$escaped"
}

# sha256: of standard input, hexadecimal.
sha256() {
  local sum
  sum=$(sha256sum)
  printf '%s' "${sum%% *}"
}

# hmac_sha256 KEY: of standard input, after RFC 2104. Openssl takes the key as an argument, where
# every process could read it; printf is part of the shell.
hmac_sha256() {
  local key=$1 inner="" outer="" index byte code
  ((${#key} <= 64)) || fail "a key of HMAC is longer here than a block of SHA-256"
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
