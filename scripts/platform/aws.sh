#!/usr/bin/env bash
# The platform interface of a host, implemented for AWS. The verbs are the same on every platform:
#
#   operator-access              ensures that operators can reach the host
#   install-packages PACKAGE...  ensures that the packages are installed
#   secret NAME                  prints a secret of the cluster
#   archive NAME FILE            fetches an archive: scripts/SHA256.tar.gz, releases/SHA256.tar.gz
#   release                      prints the releases of the app, the one to run first
#   data-volume DIRECTORY        mounts the host's data volume
#   backup-repository            prints the location of the cluster's restic repository
#   user-data FILE               fetches the host's newest user-data
#
# Ubuntu's images have no AWS CLI: curl signs the requests, with the credentials of the instance's role. They are passed on
# standard input, and so appear neither in the process list nor in a log.
set -euo pipefail
shopt -s inherit_errexit

# shellcheck source=/dev/null
source "${CLUSTER_FACTS:-/etc/cluster/host.env}"

# Only tests override these; the names are those that AWS's own tools use.
metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
metadata=${metadata%/}
endpoint=${AWS_ENDPOINT_URL:-}
endpoint=${endpoint%/}

# SHA-256 of an empty payload, which all requests to S3 here have.
readonly empty_sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

# Timeout for the attachment of the data volume, which happens after the instance has started.
readonly attachment_seconds=300

log() {
  printf 'platform aws: %s\n' "$*" >&2
}

fail() {
  log "$*"
  exit 1
}

# request: runs curl with the options from standard input. Without retries: the callers of this script retry.
request() {
  curl --disable --config - --silent --show-error --fail-with-body --connect-timeout 5
}

# from_metadata PATH: prints an item from the instance metadata service (version 2).
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

# signed SERVICE: prints curl options that sign a request with the instance role's credentials.
signed() {
  local role
  role=$(from_metadata iam/security-credentials/) || return
  printf 'aws-sigv4 = "aws:amz:%s:%s"\n' "$PLATFORM_REGION" "$1"
  from_metadata "iam/security-credentials/$role" |
    jq --raw-output '"user = \"\(.AccessKeyId):\(.SecretAccessKey)\"",
      "header = \"x-amz-security-token: \(.Token)\""'
}

# address SERVICE: prints the regional endpoint of an AWS service.
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
  options=$(signed ssm) || fail "no credentials from the instance metadata service: does the instance have its role?"
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
    # An error response never contains the value.
    fail "the parameter $name could not be read from SSM: ${answer:-no answer}"
  fi
  printf '%s' "$answer" | jq --exit-status --raw-output --join-output .Parameter.Value
}

# object KEY FILE: fetches an object of the cluster's bucket to FILE.part; leaves no partial file.
object() {
  local bucket url options key=$1 file=$2
  bucket=$(parameter bucket)
  url=${endpoint:+$endpoint/$bucket}
  url=${url:-$(address "$bucket.s3")}
  options=$(signed s3) || fail "no credentials from the instance metadata service: does the instance have its role?"
  # curl adds this header by itself since about 7.88; explicit, it works with every version.
  if ! request >"$file.part" <<EOF
$options
url = "$url/$key"
header = "x-amz-content-sha256: $empty_sha256"
max-time = 300
EOF
  then
    log "the object $key could not be fetched from S3: $(head --bytes=300 "$file.part" | tr '\n' ' ')"
    rm --force "$file.part"
    return 1
  fi
}

# fetch KEY FILE: fetches an object to FILE, atomically.
fetch() {
  object "$1" "$2"
  mv --force "$2.part" "$2"
}

print_release() {
  local file
  file=$(mktemp)
  # shellcheck disable=SC2064  # expand now
  trap "rm --force '$file'" EXIT
  fetch release "$file"
  cat "$file"
}

# restic gets its credentials from the instance metadata service by itself.
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

# While this file exists, installing a package does not start its services: they are started once they are configured.
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
  # On the first boot, automatic updates may hold the locks for a while.
  apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-confold "$@" >&2
}

install_packages() {
  # In case an earlier installation was interrupted.
  allow_starts
  if is_installed "$@"; then
    return
  fi
  trap allow_starts EXIT
  forbid_starts
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l

  local attempt
  for attempt in 1 2 3 4 5; do
    # An attempt stops at its first failure; what it has done so far is kept.
    if dpkg --configure --pending >&2 && apt update && apt install --no-install-recommends "$@"; then
      return
    fi
    log "installing packages failed, attempt $attempt of 5"
    sleep $((attempt * 5))
  done
  fail "packages could not be installed in 5 attempts: $*"
}

# agent_unit: prints the unit of the SSM agent, which is a snap in Ubuntu's images.
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

# install_agent: installs the SSM agent from AWS's regional bucket, which is reachable without internet access.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/agent-install-deb.html
install_agent() {
  local directory
  directory=$(mktemp --directory)
  # apt reads the package as its own user.
  chmod 0755 "$directory"
  log "the image has no SSM agent; installing it"
  # shellcheck disable=SC2064  # expand now
  trap "rm --recursive --force '$directory'" EXIT
  # Explicit return: errexit has no effect where this function is called.
  request >"$directory/agent.deb" <<EOF || return
url = "${endpoint:-$(address s3)}/amazon-ssm-$PLATFORM_REGION/latest/debian_amd64/amazon-ssm-agent.deb"
max-time = 120
EOF
  apt install "$directory/agent.deb"
}

# ensure_agent: makes sure that the SSM agent runs; shells and operations need it.
ensure_agent() {
  local unit
  if ! unit=$(agent_unit); then
    # On the first boot, the image's snaps may not be set up yet.
    if [[ -n $(command -v snap) ]]; then
      timeout 120 snap wait system seed.loaded || true
    fi
    unit=$(agent_unit) || { install_agent && unit=$(agent_unit); } || fail "the SSM agent could not be installed"
  fi
  if ! systemctl is-active --quiet "$unit"; then
    systemctl enable --quiet --now "$unit" || fail "the SSM agent ($unit) does not start"
  fi
}

# data_disks: prints the EBS disks other than the root disk.
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

# data_disk: waits for the data disk to be attached, and prints it.
data_disk() {
  local disks=()
  SECONDS=0
  while true; do
    mapfile -t disks < <(data_disks)
    ((${#disks[@]} == 0)) || break
    ((SECONDS < attachment_seconds)) ||
      fail "no data volume was attached within $attachment_seconds s; wanted one, on an instance type of the Nitro system"
    sleep 2
  done
  ((${#disks[@]} == 1)) || fail "${#disks[@]} data volumes are attached: ${disks[*]}; wanted exactly one"
  printf '%s' "${disks[0]}"
}

# make_filesystem DISK: creates a file system, only if the disk has never been written to.
make_filesystem() {
  local found=0
  blkid --probe "$1" >/dev/null || found=$?
  case $found in
    0) return ;;
    2) ;;
    *) fail "the content of $1 is ambiguous (blkid ended with $found); nothing was changed" ;;
  esac
  cmp --silent --bytes=1MiB "$1" /dev/zero ||
    fail "$1 has no known file system, but is not empty; nothing was changed"
  log "creating a file system on the new volume $1"
  mkfs.ext4 -q -m 0 "$1" >&2
}

mount_data_volume() {
  local directory=$1 disk uuid table
  disk=$(data_disk)
  make_filesystem "$disk"
  uuid=$(blkid --probe --match-tag UUID --output value "$disk")
  [[ -n $uuid ]] || fail "the content of $disk has no UUID, so it is not a file system created by this script"

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
    fail "$directory is the mount point of something other than the data volume $uuid"
  # In case the volume was enlarged; otherwise this does nothing.
  resize2fs "$disk" >&2 || log "the file system could not be grown to the size of its volume; continuing with its current size"
}

main() {
  local usage="usage: platform.sh with one of operator-access, install-packages PACKAGE..., secret NAME, archive NAME FILE, release, data-volume DIRECTORY, backup-repository, user-data FILE"
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

# On one line, which bash reads completely before it runs main: the file may be replaced meanwhile.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
