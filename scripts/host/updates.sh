#!/usr/bin/env bash
# Prints what newer packages there are for this host, and what it runs that is older than what is installed, as JSON.
#
#   updates.sh             by the package lists that are here
#   updates.sh --refresh   fetches the lists first
#
# packages        what would be installed, "name old new"
# listedAt        when the lists were fetched, seconds since 1970; null where there are none
# rebootRequired  whether a newer kernel is installed than the one that runs, or a package asks for a reboot
# outdatedUnits   units of which a process runs a program or a library that has been replaced since
# underWay        whether an upgrade of this host was begun and not ended
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

# Of this boot.
KNOWN=/run/cluster/updates
LISTS=/var/lib/apt/lists
DPKG_STATUS=/var/lib/dpkg/status

if [[ ${1:-} == --refresh ]]; then
  apt-get --quiet --quiet -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 update >&2 ||
    fail "the package lists could not be fetched"
fi

# look_for_packages: apt takes a second for it, so its answer is kept until lists or packages change. Nothing that is
# installed is ever removed.
look_for_packages() {
  if [[ -e $KNOWN && $KNOWN -nt $LISTS && $KNOWN -nt $DPKG_STATUS ]]; then return; fi
  mkdir --parents "${KNOWN%/*}"
  apt-get --simulate --quiet --quiet --with-new-pkgs upgrade |
    awk '$1 == "Inst" {
      old = $3 ~ /^\[/ ? substr($3, 2, length($3) - 2) : "-"
      new = $3 ~ /^\[/ ? $4 : $3
      print $2, old, substr(new, 2)
    }' >"$KNOWN.$$"
  mv --force "$KNOWN.$$" "$KNOWN"
}

# newer_kernel: a container has none of its own.
newer_kernel() {
  local newest
  if systemd-detect-virt --quiet --container; then return 1; fi
  newest=$(find /lib/modules -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort --version-sort | tail --lines=1)
  [[ -n $newest && $newest != "$(uname --kernel-release)" ]]
}

# outdated_units: the files of a process that were replaced have no name any more.
outdated_units() {
  local maps
  grep --files-with-matches --no-messages --extended-regexp ' /(usr|lib)[^ ]* \(deleted\)$' /proc/[0-9]*/maps |
    while read -r maps; do
      # It may have ended by now.
      sed --quiet --regexp-extended 's|^0::.*/([^/]+\.service).*|\1|p' "${maps%/maps}/cgroup" 2>/dev/null || true
    done | sort --unique
}

look_for_packages
reboot=false
if [[ -e /run/reboot-required ]] || newer_kernel; then reboot=true; fi
listed=null
if compgen -G "$LISTS/*Release" >/dev/null; then listed=$(stat --format=%Y "$LISTS"); fi
under_way=false
if [[ -e $UPGRADING ]]; then under_way=true; fi

jq --null-input --compact-output \
  --rawfile packages "$KNOWN" --arg outdated "$(outdated_units)" \
  --argjson listed "$listed" \
  --argjson reboot "$reboot" --argjson underWay "$under_way" \
  'def lines: split("\n") | map(select(. != ""));
   {packages: ($packages | lines), listedAt: $listed, rebootRequired: $reboot,
    outdatedUnits: ($outdated | lines), underWay: $underWay}'
