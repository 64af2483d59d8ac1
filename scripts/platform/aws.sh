#!/usr/bin/env bash
# What a host asks of its platform, answered by AWS. The same verbs as on every platform:
#
#   operator-access              makes sure that operators reach the host
#   install-packages PACKAGE...  makes sure that the packages are installed
#   secret NAME                  prints a secret of the cluster
#   archive NAME FILE            fetches an archive: scripts/SHA256.tar.gz, releases/SHA256.tar.gz
#   release                      prints the releases of the app, the one to run first
#   data-volume DIRECTORY        mounts the host's data volume
#   backup-repository            prints where restic keeps the cluster's backups
#   user-data FILE               fetches the host's newest user-data
#
# Ubuntu's images have no AWS command line: curl signs the requests, with the credentials of the
# instance's role. They reach curl through its standard input, never the process list or a log.
set -euo pipefail
shopt -s inherit_errexit

# shellcheck source=/dev/null
source "${CLUSTER_FACTS:-/etc/cluster/host.env}"

# Overridden by tests only; the names are those of AWS's own tools.
metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
metadata=${metadata%/}
endpoint=${AWS_ENDPOINT_URL:-}
endpoint=${endpoint%/}

# SHA-256 of nothing: the payload of every request to S3 made here.
readonly empty_sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

# How long an attachment may take; the volume is attached after the instance has started.
readonly attachment_seconds=300

log() {
  printf 'platform aws: %s\n' "$*" >&2
}

fail() {
  log "$*"
  exit 1
}

# request: curl, with its options read from standard input. Whoever called this script tries again.
request() {
  curl --disable --config - --silent --show-error --fail-with-body --connect-timeout 5
}

# from_metadata PATH: what the instance metadata service, version 2, says.
from_metadata() {
  local token
  token=$(
    request <<EOF
url = "$metadata/latest/api/token"
request = "PUT"
header = "X-aws-ec2-metadata-token-ttl-seconds: 60"
noproxy = "*"
max-time = 10
EOF
  )
  request <<EOF
url = "$metadata/latest/meta-data/$1"
header = "X-aws-ec2-metadata-token: $token"
noproxy = "*"
max-time = 10
EOF
}

# signed SERVICE: curl options that sign a request as the instance's role.
signed() {
  local role
  role=$(from_metadata iam/security-credentials/) || return
  printf 'aws-sigv4 = "aws:amz:%s:%s"\n' "$PLATFORM_REGION" "$1"
  from_metadata "iam/security-credentials/$role" |
    jq --raw-output '"user = \"\(.AccessKeyId):\(.SecretAccessKey)\"",
      "header = \"x-amz-security-token: \(.Token)\""'
}

# address SERVICE: where a service of AWS answers in this region.
address() {
  local domain=amazonaws.com
  if [[ $PLATFORM_REGION == cn-* ]]; then
    domain=amazonaws.com.cn
  fi
  printf '%s' "https://$1.$PLATFORM_REGION.$domain"
}

# parameter NAME: prints the value of an SSM parameter of this cluster.
parameter() {
  local options answer name="/$CLUSTER_NAME/$1"
  options=$(signed ssm) || fail "the instance metadata service gave no credentials"
  if ! answer=$(
    request <<EOF
$options
url = "${endpoint:-$(address ssm)}/"
header = "Content-Type: application/x-amz-json-1.1"
header = "X-Amz-Target: AmazonSSM.GetParameter"
data = "{\\"Name\\":\\"$name\\",\\"WithDecryption\\":true}"
max-time = 20
EOF
  ); then
    # An error is a type and a sentence; it carries no value.
    fail "SSM did not give the parameter $name: ${answer:-no answer}"
  fi
  printf '%s' "$answer" | jq --exit-status --raw-output --join-output .Parameter.Value
}

# object KEY FILE: fetches an object of the cluster's bucket to FILE.part, whole or not at all.
object() {
  local bucket url options key=$1 file=$2
  bucket=$(parameter bucket)
  url=${endpoint:+$endpoint/$bucket}
  url=${url:-$(address "$bucket.s3")}
  options=$(signed s3) || fail "the instance metadata service gave no credentials"
  # curl adds this header itself since 7.88 or so; written out it is the same for every version.
  if ! request >"$file.part" <<EOF
$options
url = "$url/$key"
header = "x-amz-content-sha256: $empty_sha256"
max-time = 300
EOF
  then
    log "S3 did not give $key: $(head --bytes=300 "$file.part" | tr '\n' ' ')"
    rm --force "$file.part"
    return 1
  fi
}

# fetch KEY FILE: the same, under its own name.
fetch() {
  object "$1" "$2"
  mv --force "$2.part" "$2"
}

print_release() {
  local file
  file=$(mktemp)
  # shellcheck disable=SC2064  # the name is wanted as it is now
  trap "rm --force '$file'" EXIT
  fetch release "$file"
  cat "$file"
}

# restic itself asks the instance metadata service for credentials.
print_backup_repository() {
  local bucket
  bucket=$(parameter backups-bucket)
  printf 's3:%s/%s' "${endpoint:-$(address s3)}" "$bucket"
}

is_installed() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      return 1
  done
}

# While this file is there, a package's services are not started by its installation: they start
# when they are configured.
readonly policy=/usr/sbin/policy-rc.d
readonly policy_mark="# Written by the cluster while packages are being installed."

allow_starts() {
  if grep --quiet --fixed-strings --line-regexp "$policy_mark" "$policy" 2>/dev/null; then
    rm --force "$policy"
  fi
}

forbid_starts() {
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
    chmod 0755 "$policy"
  fi
}

apt() {
  # A first boot has updates of its own under way, which hold the locks for a while.
  apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-confold "$@" >&2
}

install_packages() {
  # What an interrupted installation left.
  allow_starts
  if is_installed "$@"; then
    return
  fi
  trap allow_starts EXIT
  forbid_starts
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l

  local attempt
  for attempt in 1 2 3 4 5; do
    # Each attempt stops at its first failure; what it has done so far stays.
    if dpkg --configure --pending >&2 && apt update && apt install --no-install-recommends "$@"; then
      return
    fi
    log "installing packages failed, attempt $attempt of 5"
    sleep $((attempt * 5))
  done
  fail "these packages could not be installed: $*"
}

# agent_unit: prints the unit of the SSM agent, which Ubuntu's images have as a snap.
agent_unit() {
  local unit
  for unit in snap.amazon-ssm-agent.amazon-ssm-agent.service amazon-ssm-agent.service; do
    if systemctl cat "$unit" >/dev/null 2>&1; then
      printf '%s' "$unit"
      return
    fi
  done
  return 1
}

# install_agent: from AWS's own bucket of the region, which is reached without the internet.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/agent-install-deb.html
install_agent() {
  local directory
  directory=$(mktemp --directory)
  # apt reads the package as a user of its own.
  chmod 0755 "$directory"
  log "the image has no SSM agent; installing it"
  # shellcheck disable=SC2064  # the name is wanted as it is now
  trap "rm --recursive --force '$directory'" EXIT
  # Called where a failure ends nothing by itself.
  request >"$directory/agent.deb" <<EOF || return
url = "${endpoint:-$(address s3)}/amazon-ssm-$PLATFORM_REGION/latest/debian_amd64/amazon-ssm-agent.deb"
max-time = 120
EOF
  apt install "$directory/agent.deb"
}

# ensure_agent: sessions and operations come through it.
ensure_agent() {
  local unit
  if ! unit=$(agent_unit); then
    # At its first boot the snaps of an image may not be set up yet.
    if [[ -n $(command -v snap) ]]; then
      timeout 120 snap wait system seed.loaded || true
    fi
    unit=$(agent_unit) || { install_agent && unit=$(agent_unit); } || fail "the SSM agent could not be installed"
  fi
  if ! systemctl is-active --quiet "$unit"; then
    systemctl enable --quiet --now "$unit" || fail "the SSM agent, $unit, does not start"
  fi
}

# data_disks: the EBS disks that do not carry the system.
data_disks() {
  local root disk
  root=$(findmnt --noheadings --output SOURCE /)
  root=$(lsblk --noheadings --inverse --paths --list --output NAME,TYPE "$root" |
    awk '$2 == "disk" { print $1 }')
  lsblk --nodeps --noheadings --paths --list --output NAME,TYPE,MODEL |
    awk '$2 == "disk" && /Amazon Elastic Block Store/ { print $1 }' |
    while read -r disk; do
      [[ $disk == "$root" ]] || printf '%s\n' "$disk"
    done
}

# data_disk: the one data disk, once it is attached.
data_disk() {
  local disks=()
  SECONDS=0
  while true; do
    mapfile -t disks < <(data_disks)
    ((${#disks[@]} == 0)) || break
    ((SECONDS < attachment_seconds)) ||
      fail "no data volume was attached within $attachment_seconds s (an instance type of the Nitro system is needed)"
    sleep 2
  done
  ((${#disks[@]} == 1)) || fail "one data volume is expected, attached are ${disks[*]}"
  printf '%s' "${disks[0]}"
}

# make_filesystem DISK: only where there has never been anything.
make_filesystem() {
  local found=0
  blkid --probe "$1" >/dev/null || found=$?
  case $found in
    0) return ;;
    2) ;;
    *) fail "what $1 carries is not clear; nothing was changed" ;;
  esac
  cmp --silent --bytes=1MiB "$1" /dev/zero ||
    fail "$1 carries no filesystem, yet is not empty; nothing was changed"
  log "making a filesystem on the new volume $1"
  mkfs.ext4 -q -m 0 "$1" >&2
}

mount_data_volume() {
  local directory=$1 disk uuid table
  disk=$(data_disk)
  make_filesystem "$disk"
  uuid=$(blkid --probe --match-tag UUID --output value "$disk")
  [[ -n $uuid ]] || fail "$disk carries something without a UUID: no filesystem made here"

  table=$(
    awk -v directory="$directory" '$2 != directory' /etc/fstab
    printf 'UUID=%s %s ext4 defaults,noatime,nofail 0 2\n' "$uuid" "$directory"
  )
  if [[ $table != "$(</etc/fstab)" ]]; then
    printf '%s\n' "$table" >/etc/fstab.cluster
    mv --force /etc/fstab.cluster /etc/fstab
    systemctl daemon-reload
  fi

  mkdir --parents "$directory"
  if ! mountpoint --quiet "$directory"; then
    mount "$directory"
  fi
  [[ $(findmnt --noheadings --output UUID --mountpoint "$directory") == "$uuid" ]] ||
    fail "$directory is a mount of something else than the data volume $uuid"
  # A volume that was enlarged; with nothing to enlarge it does nothing.
  resize2fs "$disk" >&2 || log "the filesystem did not grow to its volume's size; the database runs on"
}

main() {
  local usage="one of: operator-access, install-packages PACKAGE..., secret NAME, archive NAME FILE, release, data-volume DIRECTORY, backup-repository, user-data FILE"
  case "${1:-}:$#" in
    operator-access:1) ensure_agent ;;
    install-packages:*) (($# > 1)) || fail "$usage" ; install_packages "${@:2}" ;;
    secret:2) parameter "secrets/$2" ;;
    archive:3) fetch "$2" "$3" ;;
    release:1) print_release ;;
    data-volume:2) mount_data_volume "$2" ;;
    backup-repository:1) print_backup_repository ;;
    user-data:2) fetch "hosts/$HOST_NAME/user-data" "$2" ;;
    *) fail "$usage" ;;
  esac
}

# bash has read this line to its end before it begins: the file may be written anew while it runs.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
