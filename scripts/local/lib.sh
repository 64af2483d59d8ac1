# shellcheck shell=bash
# Common functions of the scripts for local hosts. Sourced, never run.
#
# Facts are environment variables named DWI_*, so that they can be passed through sudo.

set -euo pipefail

# All scripts are in the same folder, both in the repository and in the synthesized stack.
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

# All state of local clusters outside of Incus, including a configuration of the client, so that the user's aliases and
# default remote have no effect, and the process IDs of the daemons that were started.
STATE_DIRECTORY=/var/lib/dwi
export POOL=dwi

say() { printf '%s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

# Re-executes the calling script as root, with only the facts in its environment.
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

# use_project PROJECT: makes the client use the local daemon and this project.
use_project() {
  mkdir -p "$STATE_DIRECTORY/client"
  export INCUS_CONF=$STATE_DIRECTORY/client INCUS_REMOTE=local INCUS_PROJECT=$1
}

# hold_lock NAME: takes a lock, held until the script and all its child processes have ended.
hold_lock() {
  mkdir -p /run/lock
  exec {lock}>"/run/lock/dwi-$1"
  flock "$lock"
}

engine_answers() { incus query /1.0 >/dev/null 2>&1; }

# Terraform records a resource as created before its provisioner has run, so a killed provisioner would never run again.
# Each script therefore changes a note, which is among the resource's triggers, when it starts, and restores it when it
# is done: if it is killed in between, the next plan replaces the resource. DWI_UNFINISHED is the note's content at the
# time of the plan.
#
# The notes are world-readable, because a plan does not need root.
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

# A folder that all hosts of a cluster can read, mounted there at /srv/shared: archives of scripts and releases, and the
# list of releases, the one to run first.
SHARED=$STATE_DIRECTORY/shared

# share NAME FILE: puts a file into that folder, atomically.
share() {
  local target=$SHARED/${DWI_PROJECT:?}/$1
  install -d -m 0755 "${target%/*}"
  install -m 0644 "$2" "$target.new"
  mv "$target.new" "$target"
}

# forget_old KIND: removes all archives of a kind but the ten newest and, of releases, those in the list, which must remain
# available no matter how many were rolled back since. Fails if the list cannot be read.
forget_old() {
  local archive list=$SHARED/${DWI_PROJECT:?}/release kept=""
  if [[ $1 == releases ]]; then
    kept=" $(tr '\n' ' ' <"$list") " || fail "the list of releases cannot be read: $list"
    [[ -n ${kept// /} ]] || fail "the list of releases is empty: $list"
  fi
  # shellcheck disable=SC2012 # the names are letters and digits
  ls -t "$SHARED/$DWI_PROJECT/$1" | tail -n +11 | while read -r archive; do
    [[ $1 == releases && $kept == *" ${archive%%.*} "* ]] || rm -f "$SHARED/$DWI_PROJECT/$1/$archive"
  done
}

exists() { "$@" >/dev/null 2>&1; }

# check_port PORT: fails if the port of 127.0.0.1 is in use, because the engine's own error message does not name it.
check_port() {
  if (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; then
    fail "port $1 on 127.0.0.1 is already in use" \
      "remedy: stop the program that listens on it, or set another localPort or localTlsPort in cluster.config.ts"
  fi
}

# The machine's ID and codename, from /etc/os-release.
machine_distribution() { (. /etc/os-release && printf '%s' "${ID:-unknown}"); }
machine_codename() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-unknown}"); }

# The machine's first IPv4 name server that hosts can reach as well: one that is not on its loopback.
machine_nameserver() {
  local server
  server=$(cat /run/systemd/resolve/resolv.conf /etc/resolv.conf 2>/dev/null |
    awk '$1 == "nameserver" && $2 !~ /^127\./ && $2 !~ /:/ { print $2; exit }')
  printf '%s' "${server:-127.0.0.1}"
}

# The machine's own package mirror. By apt-get, which reads sources in either format.
machine_mirror() {
  local codename
  codename=$(machine_codename)
  # shellcheck disable=SC2016 # apt-get substitutes these, not the shell
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v codename="$codename" '
      $1 == codename && $2 == "main" && !found { sub("/$", "", $3); print $3; found = 1 }'
}

# value_of KEY "KEY=VALUE KEY=VALUE": prints the value, or nothing if the key is missing.
value_of() {
  local pair
  for pair in $2; do
    if [[ ${pair%%=*} == "$1" ]]; then printf '%s' "${pair#*=}"; fi
  done
}

# Distribution and suite of new hosts, from the facts that image.sh documents.
host_distribution() {
  local distribution=${DWI_DISTRIBUTION:?machine, debian or ubuntu}
  if [[ $distribution == machine ]]; then distribution=$(machine_distribution); fi
  [[ -n $(value_of "$distribution" "${DWI_SUITES:?a suite for each distribution}") ]] ||
    fail "the distribution is $distribution; hosts can run debian or ubuntu"
  printf '%s' "$distribution"
}
host_suite() {
  local distribution
  distribution=$(host_distribution) || return
  value_of "$distribution" "$DWI_SUITES"
}

# The name of the host image, which contains a hash of all its inputs.
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

# 48 letters and digits: 285 bits of entropy, and no need for quoting anywhere.
generate_secret() { openssl rand -base64 192 | tr -dc 'A-Za-z0-9' | head -c 48; }

# edit_profile NAME: replaces a profile from standard input. Secrets are passed only this way, never as arguments or through
# Terraform.
#
# An edit fails, although it is saved, while one of the role's hosts is being removed by the same deploy: it is tried again.
edit_profile() {
  local content attempt
  content=$(cat)
  for attempt in {1..30}; do
    if printf '%s\n' "$content" | incus profile edit "$1"; then return; fi
    sleep 1
  done
  fail "profile $1 could not be changed in $attempt attempts"
}
