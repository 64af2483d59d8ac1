#!/usr/bin/env bash
# Prints as JSON which package upgrades are available for this host, and which of its running programs are outdated.
#
#   updates.sh             from the current package lists
#   updates.sh --refresh   fetches the package lists first
#
# packages        the available upgrades, "name old new"
# listedAt        when the lists were fetched, seconds since 1970; null if there are none
# rebootRequired  whether a newer kernel than the running one is installed, or a package requests a reboot
# outdatedUnits   units with a process whose program or library has been replaced since it started
# underWay        whether an upgrade of this host was started and not finished
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

# The cached answer of apt; a reboot removes it.
KNOWN=/run/cluster/updates
LISTS=/var/lib/apt/lists
DPKG_STATUS=/var/lib/dpkg/status

if [[ ${1:-} == --refresh ]]; then
  apt-get --quiet --quiet -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 update >&2 ||
    fail "the package lists could not be fetched"
fi

# look_for_packages: apt takes a second, so its answer is cached until lists or packages change. The simulated upgrade,
# like the real one, never removes a package.
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

# newer_kernel: whether a newer kernel is installed than the running one. Containers have no kernel of their own.
newer_kernel() {
  local newest
  if systemd-detect-virt --quiet --container; then return 1; fi
  newest=$(find /lib/modules -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort --version-sort | tail --lines=1)
  [[ -n $newest && $newest != "$(uname --kernel-release)" ]]
}

# outdated_units: units with a process that has a deleted file mapped.
outdated_units() {
  local maps
  grep --files-with-matches --no-messages --extended-regexp ' /(usr|lib)[^ ]* \(deleted\)$' /proc/[0-9]*/maps |
    while read -r maps; do
      # The process may have exited by now.
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
