#!/usr/bin/env bash
# Creates what the hosts of one cluster need: an Incus project, a network, a profile for each role, secrets and archives.
#
# Facts: DWI_PROJECT; DWI_BRIDGE, DWI_GATEWAY (address/prefix) of the network; DWI_ROLES; DWI_SECRETS, names with their
# readers: "password=web,database seed=database"; DWI_KEPT_SECRETS, names of those that outlive the cluster; DWI_BACKUPS,
# the folder for backups and for these secrets; DWI_SCRIPTS and DWI_RELEASE, names of archives in the folder `archives`.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project default
begin_work foundation
bash "$HERE/engine.sh" start

# Images are shared by all clusters; everything else belongs to the project.
exists incus project show "$DWI_PROJECT" ||
  incus project create "$DWI_PROJECT" --quiet -c features.images=false -c features.profiles=true \
    -c features.storage.volumes=true -c features.storage.buckets=true

# Neither DHCP nor DNS: hosts configure their own fixed addresses, and use the machine's name server.
if exists incus network show "$DWI_BRIDGE"; then
  incus network set "$DWI_BRIDGE" ipv4.address="$DWI_GATEWAY"
else
  incus network create "$DWI_BRIDGE" --quiet --description "cluster ${DWI_PROJECT#dwi-}" \
    ipv4.address="$DWI_GATEWAY" ipv4.nat=true ipv4.dhcp=false ipv6.address=none dns.mode=none
fi

use_project "$DWI_PROJECT"

share "$DWI_SCRIPTS" "archives/$DWI_SCRIPTS"
forget_old scripts
# Only the first release is deployed with the cluster; operators release later ones.
if [[ ! -e $SHARED/$DWI_PROJECT/release ]]; then
  share "$DWI_RELEASE" "archives/$DWI_RELEASE"
  share release <(basename "$DWI_RELEASE" .tar.gz)
fi

# systemd's own default for the hard limit.
OPEN_FILES=524288

profiles=$(incus profile list --format csv --columns n)
is_profile() { grep --quiet --line-regexp "$1" <<<"$profiles"; }

# replace_profile NAME: creates or replaces a profile from standard input.
replace_profile() {
  if is_profile "$1"; then
    edit_profile "$1"
  else
    incus profile create --quiet "$1"
  fi
}

# Every secret is generated once, stored in a profile that no host uses, and copied to the profiles of its readers.
# The password of the backups is also stored in their folder, and kept with them.
install -d -m 0700 "$DWI_BACKUPS" "$DWI_BACKUPS/repository"

declare -A values
missing=no
known=no
if is_profile secrets; then known=yes; fi
for secret in $DWI_SECRETS; do
  name=${secret%%=*}
  values[$name]=""
  # Ends the script on an error: it must not be mistaken for a missing secret.
  if [[ $known == yes ]]; then
    values[$name]=$(incus profile get secrets "user.$name")
  fi
  if [[ -z ${values[$name]} && " $DWI_KEPT_SECRETS " == *" $name "* && -s $DWI_BACKUPS/$name ]]; then
    values[$name]=$(<"$DWI_BACKUPS/$name")
    missing=yes
  fi
  if [[ -z ${values[$name]} ]]; then
    values[$name]=$(generate_secret)
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
    # systemd needs this to set up the sandboxes of units.
    printf '  security.nesting: "true"\n'
    # Otherwise hosts inherit the engine's limit on open files, which may be that of a login shell. In a confined
    # environment the limit cannot be raised; hosts then inherit it.
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
    # shift: the folder's files belong to root, both on the machine and on the host.
    [[ $role != database ]] ||
      printf '  backups: { type: disk, source: %s, path: /srv/backups, shift: "true" }\n' "$DWI_BACKUPS/repository"
    printf '  eth0: { type: nic, name: eth0, network: %s }\n' "$DWI_BRIDGE"
  } | replace_profile "$role"
done
end_work
say "project $DWI_PROJECT, network $DWI_BRIDGE ($DWI_GATEWAY): ready"
