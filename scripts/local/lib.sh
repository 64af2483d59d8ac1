# shellcheck shell=bash
# What the scripts of local hosts share. Sourced, never run.
#
# Facts come in by environment, all of them named DWI_*, so that they can be handed through sudo.

set -euo pipefail

# Sourced scripts stand side by side, in the repository as well as beside the synthesized stack.
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

# Everything of ours on this machine outside of Incus: the client's own configuration, so that the
# user's aliases and default remote play no part, and a note of the daemons we started.
STATE_DIRECTORY=/var/lib/dwi
export POOL=dwi

say() { printf '%s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

# Runs the calling script again as root, with the facts and nothing else.
become_root() {
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  export PATH
  ((EUID == 0)) && return
  local facts=() name
  for name in $(compgen -e DWI_) $(compgen -e INCUS_); do
    facts+=("$name=${!name}")
  done
  sudo -n true 2>/dev/null ||
    fail "local hosts need root: run this as root, or allow sudo without a password"
  exec sudo -n env "${facts[@]}" bash "$0" "$@"
}

# Points the client at the local daemon and at one project of it.
use_project() {
  mkdir -p "$STATE_DIRECTORY/client"
  export INCUS_CONF=$STATE_DIRECTORY/client INCUS_REMOTE=local INCUS_PROJECT=$1
}

# Holds a lock until the script and what it started end.
hold_lock() {
  mkdir -p /run/lock
  exec {lock}>"/run/lock/dwi-$1"
  flock "$lock"
}

engine_answers() { incus query /1.0 >/dev/null 2>&1; }

# Terraform counts a resource as made before its provisioner has run, so that one whose script was
# killed looks finished ever after. Each script therefore changes a note that is part of what
# Terraform compares when it starts, and puts it back when it is done: what was killed in between
# is planned again. DWI_UNFINISHED is the note's content when the plan was made.
#
# The notes are readable to all: a plan needs no root.
NOTES=$STATE_DIRECTORY/unfinished
begin_work() {
  note=$NOTES/${DWI_PROJECT:?}/$1
  mkdir -p "${note%/*}"
  hold_lock "$DWI_PROJECT-$1"
  printf 'interrupted %s' "$EPOCHREALTIME" >"$note.new"
  mv "$note.new" "$note"
}
end_work() {
  if [[ -n ${DWI_UNFINISHED:-} ]]; then
    printf '%s' "$DWI_UNFINISHED" >"$note.new"
    mv "$note.new" "$note"
  else
    rm -f "$note"
  fi
}

# What all hosts of a cluster may read: archives of scripts and releases, and the names of the releases,
# the one to run first. Hosts see it as /srv/shared.
SHARED=$STATE_DIRECTORY/shared

# share NAME FILE: puts a file there, whole or not at all, readable to every host.
share() {
  local target=$SHARED/${DWI_PROJECT:?}/$1
  install -d -m 0755 "${target%/*}"
  install -m 0644 "$2" "$target.new"
  mv "$target.new" "$target"
}

# forget_old KIND: all but the ten newest archives of a kind, and the releases that are remembered: however many
# were tried and taken back since, those that serve or served have to be there. Where the list cannot be read,
# nobody knows which those are.
forget_old() {
  local archive list=$SHARED/${DWI_PROJECT:?}/release kept=""
  if [[ $1 == releases ]]; then
    kept=" $(tr '\n' ' ' <"$list") " || fail "the list of releases cannot be read: $list"
    [[ -n ${kept// /} ]] || fail "the list of releases is empty: $list"
  fi
  # shellcheck disable=SC2012 # names of ours: letters and digits
  ls -t "$SHARED/$DWI_PROJECT/$1" | tail -n +11 | while read -r archive; do
    [[ $1 == releases && $kept == *" ${archive%%.*} "* ]] || rm -f "$SHARED/$DWI_PROJECT/$1/$archive"
  done
}

exists() { "$@" >/dev/null 2>&1; }

# ID and codename as /etc/os-release has them.
machine_distribution() { (. /etc/os-release && printf '%s' "${ID:-unknown}"); }
machine_codename() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-unknown}"); }

# A name server of this machine that hosts can ask as well: not one on its loopback.
machine_nameserver() {
  local server
  server=$(cat /run/systemd/resolve/resolv.conf /etc/resolv.conf 2>/dev/null |
    awk '$1 == "nameserver" && $2 !~ /^127\./ && $2 !~ /:/ { print $2; exit }')
  printf '%s' "${server:-127.0.0.1}"
}

# The mirror this machine itself takes its packages from, whatever the format of its sources.
machine_mirror() {
  local codename
  codename=$(machine_codename)
  # shellcheck disable=SC2016 # apt-get substitutes these, not the shell
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v codename="$codename" '
      $1 == codename && $2 == "main" && !found { sub("/$", "", $3); print $3; found = 1 }'
}

# value_of KEY "KEY=VALUE KEY=VALUE": nothing for a key that is not there.
value_of() {
  local pair
  for pair in $2; do
    if [[ ${pair%%=*} == "$1" ]]; then printf '%s' "${pair#*=}"; fi
  done
}

# Distribution and suite of the hosts that are made, by the facts that image.sh names.
host_distribution() {
  local distribution=${DWI_DISTRIBUTION:?machine, debian or ubuntu}
  if [[ $distribution == machine ]]; then distribution=$(machine_distribution); fi
  [[ -n $(value_of "$distribution" "${DWI_SUITES:?a suite for each distribution}") ]] ||
    fail "the distribution is $distribution; hosts can be made of debian and ubuntu"
  printf '%s' "$distribution"
}
host_suite() {
  local distribution
  distribution=$(host_distribution) || return
  value_of "$distribution" "$DWI_SUITES"
}

# The name of the host image that this recipe makes: another recipe, another name.
image_alias() {
  local distribution suite
  : "${DWI_PACKAGES:?packages of the hosts, separated by spaces}"
  distribution=$(host_distribution) || return
  suite=$(host_suite)
  printf 'dwi-host-%s' "$({
    cat "$HERE/image.sh" "$HERE/image-sources.sh" "$HERE/image-customize.sh" "$HERE/../database/initialise.sh"
    printf '%s\n' "$distribution" "$suite" "$DWI_PACKAGES" "${DWI_MIRROR:-}"
  } | sha256sum | head -c 12)"
}
