#!/usr/bin/env bash
# Removes everything that local clusters share: host images, the storage pool, and the daemons started for them. Refuses
# while a cluster exists.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"

if [[ -n $(command -v incus) ]]; then
  use_project default
  bash "$HERE/engine.sh" start
  clusters=$(incus project list --format csv --columns n | sed 's/ (current)$//' | grep '^dwi-' || true)
  [[ -z $clusters ]] || fail "clusters still exist: ${clusters//$'\n'/ }" "remedy: npm run down -- STACK for each of them"
  for alias in $(incus image alias list --format csv | cut -d, -f1 | grep '^dwi-host-' || true); do
    say "removing host image $alias"
    incus image delete "$alias"
  done
  if exists incus storage show "$POOL"; then
    say "removing the storage pool $POOL"
    incus storage delete --quiet "$POOL"
  fi
  if [[ -n $(incus list --all-projects --format csv --columns n) ]]; then
    say "the engine keeps running, because it has other instances"
  else
    bash "$HERE/engine.sh" stop
  fi
fi
installed=$(tr '\n' ' ' 2>/dev/null <"$STATE_DIRECTORY/installed" || true)
rm -rf "$STATE_DIRECTORY" /var/log/dwi
rm -f /etc/apt/sources.list.d/dwi-backports.sources
if [[ -n $installed ]]; then
  say "packages installed for local hosts were kept; to remove them: apt-get purge --autoremove $installed"
fi
