#!/usr/bin/env bash
# Makes what the hosts of one cluster stand on: a project, a network, a profile for each role.
#
# Facts: DWI_PROJECT; DWI_BRIDGE, DWI_GATEWAY (address/prefix) of the network; DWI_ROLES; DWI_SECRETS,
# names with their readers: "password=web,database seed=database"; DWI_KEPT_SECRETS, names of those that
# outlive the cluster; DWI_BACKUPS, a folder for what they open and for them; DWI_SCRIPTS and DWI_RELEASE, the
# names of archives in the folder archives.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project default
begin_work foundation
bash "$HERE/engine.sh" start

# Images are shared by all clusters; everything else is the project's own.
exists incus project show "$DWI_PROJECT" ||
  incus project create "$DWI_PROJECT" --quiet -c features.images=false -c features.profiles=true \
    -c features.storage.volumes=true -c features.storage.buckets=true

# Addresses are fixed and set by the hosts themselves, names are resolved by the machine's own
# servers: nothing for the engine to serve.
if exists incus network show "$DWI_BRIDGE"; then
  incus network set "$DWI_BRIDGE" ipv4.address="$DWI_GATEWAY"
else
  incus network create "$DWI_BRIDGE" --quiet --description "cluster ${DWI_PROJECT#dwi-}" \
    ipv4.address="$DWI_GATEWAY" ipv4.nat=true ipv4.dhcp=false ipv6.address=none dns.mode=none
fi

use_project "$DWI_PROJECT"

share "$DWI_SCRIPTS" "archives/$DWI_SCRIPTS"
forget_old scripts
# The first release comes with the cluster, every later one by the operator's word.
if [[ ! -e $SHARED/$DWI_PROJECT/release ]]; then
  share "$DWI_RELEASE" "archives/$DWI_RELEASE"
  share release <(basename "$DWI_RELEASE" .tar.gz)
fi

# What systemd gives a machine of its own.
OPEN_FILES=524288

# Letters and digits: 48 of them hold 285 bits and need no quoting anywhere.
generate() { openssl rand -base64 192 | tr -dc 'A-Za-z0-9' | head -c 48; }

profiles=$(incus profile list --format csv --columns n)
is_profile() { grep --quiet --line-regexp "$1" <<<"$profiles"; }

# A profile of a name, replaced by the one given on standard input. Values of secrets go this way
# and no other: never through an argument or Terraform.
replace_profile() {
  if is_profile "$1"; then
    incus profile edit "$1"
  else
    incus profile create --quiet "$1"
  fi
}

# Every secret is generated once, kept in a profile that no host has, and copied to its readers'.
# Backups are for database hosts alone; what opens them lies beside them and stays with them.
install -d -m 0700 "$DWI_BACKUPS" "$DWI_BACKUPS/repository"

declare -A values
missing=no
known=no
if is_profile secrets; then known=yes; fi
for secret in $DWI_SECRETS; do
  name=${secret%%=*}
  values[$name]=""
  # An error of the engine must not be taken for a secret that is not there yet.
  if [[ $known == yes ]]; then
    values[$name]=$(incus profile get secrets "user.$name")
  fi
  if [[ -z ${values[$name]} && " $DWI_KEPT_SECRETS " == *" $name "* && -s $DWI_BACKUPS/$name ]]; then
    values[$name]=$(<"$DWI_BACKUPS/$name")
    missing=yes
  fi
  if [[ -z ${values[$name]} ]]; then
    values[$name]=$(generate)
    missing=yes
  fi
done
if [[ $missing == yes ]]; then
  {
    printf 'description: generated secrets of the cluster\ndevices: {}\nconfig:\n'
    for name in "${!values[@]}"; do
      printf '  user.%s: "%s"\n' "$name" "${values[$name]}"
    done
  } | replace_profile secrets
fi

for name in $DWI_KEPT_SECRETS; do
  (
    umask 077
    printf '%s' "${values[$name]}" >"$DWI_BACKUPS/$name"
  )
done

for role in $DWI_ROLES; do
  {
    printf 'description: hosts of role %s\nconfig:\n' "$role"
    # Without it systemd cannot set up the sandboxes that units ask for.
    printf '  security.nesting: "true"\n'
    # Otherwise hosts inherit the engine's limit of open files, which may be a login shell's. A
    # machine that is itself confined may not raise it; then hosts have the limit it has.
    if (ulimit -n "$OPEN_FILES") 2>/dev/null; then
      printf '  limits.kernel.nofile: "%s"\n' "$OPEN_FILES"
    fi
    for secret in $DWI_SECRETS; do
      if [[ ,${secret#*=}, == *,$role,* ]]; then
        printf '  user.%s: "%s"\n' "${secret%%=*}" "${values[${secret%%=*}]}"
      fi
    done
    printf 'devices:\n'
    printf '  root: { type: disk, path: /, pool: %s }\n' "$POOL"
    printf '  shared: { type: disk, source: %s, path: /srv/shared, readonly: "true" }\n' \
      "$SHARED/$DWI_PROJECT"
    # The folder's files are root's, on the machine and on the host.
    [[ $role != database ]] ||
      printf '  backups: { type: disk, source: %s, path: /srv/backups, shift: "true" }\n' "$DWI_BACKUPS/repository"
    printf '  eth0: { type: nic, name: eth0, network: %s }\n' "$DWI_BRIDGE"
  } | replace_profile "$role"
done
end_work
say "project $DWI_PROJECT, network $DWI_BRIDGE ($DWI_GATEWAY): there"
