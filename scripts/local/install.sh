#!/usr/bin/env bash
# Installs the packages that this machine needs to run local hosts.
#
# Facts: DWI_PARTS, package names.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"

mkdir -p /var/log/dwi "$STATE_DIRECTORY"
log=/var/log/dwi/install.log
: >"$log"
export DEBIAN_FRONTEND=noninteractive

quietly() {
  "$@" >>"$log" 2>&1 || {
    tail -n 10 "$log" >&2
    fail "$1 failed" "the whole log: $log"
  }
}

has_candidate() {
  local policy
  # Not a pipe into grep -q: apt-cache would fail with SIGPIPE.
  policy=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null)
  grep -q '^  Candidate: [^(]' <<<"$policy"
}

# Debian 12 has Incus and Ubuntu's keys only in backports. Adds them, from the mirror that this machine already uses.
add_backports() {
  local codename mirror
  [[ ! -e /etc/apt/sources.list.d/dwi-backports.sources ]] || return 0
  codename=$(machine_codename)
  mirror=$(machine_mirror)
  [[ -n $mirror ]] || fail "this machine's apt sources have no package mirror for $codename"
  say "adding $codename-backports of $mirror to the apt sources"
  printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: %s\n' \
    "$mirror" "$codename" /usr/share/keyrings/debian-archive-keyring.gpg \
    >/etc/apt/sources.list.d/dwi-backports.sources
  quietly apt-get update
}

say "installing $DWI_PARTS"
quietly apt-get update
packages=()
for part in $DWI_PARTS; do
  if ! has_candidate "$part" && [[ $(machine_distribution) == debian ]]; then
    add_backports
  fi
  if [[ $part == incus-base ]]; then
    # Falls back to the complete package, where it is not split.
    has_candidate incus-base || part=incus
    has_candidate "$part" || fail "Incus is not in this machine's apt sources" \
      "remedy: use Debian 12 or newer, or Ubuntu 24.04 or newer with the component universe"
  fi
  packages+=("$part")
done
quietly apt-get install --yes --no-install-recommends "${packages[@]}"
printf '%s\n' "${packages[@]}" >>"$STATE_DIRECTORY/installed"
sort -u -o "$STATE_DIRECTORY/installed" "$STATE_DIRECTORY/installed"
