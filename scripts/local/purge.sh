#!/usr/bin/env bash
# Removes what clusters on this machine share: host images, the storage pool, the daemons that were
# started for it. Refuses while there is a cluster.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"

if [[ -n $(command -v incus) ]]; then
  use_project default
  bash "$HERE/engine.sh" start
  clusters=$(incus project list --format csv --columns n | sed 's/ (current)$//' | grep '^dwi-' || true)
  [[ -z $clusters ]] || fail "there are clusters still: ${clusters//$'\n'/ }" "remedy: npm run down -- STACK for each"
  for alias in $(incus image alias list --format csv | cut -d, -f1 | grep '^dwi-host-' || true); do
    say "removing host image $alias"
    incus image delete "$alias"
  done
  if exists incus storage show "$POOL"; then
    say "removing the storage pool $POOL"
    incus storage delete --quiet "$POOL"
  fi
  if [[ -n $(incus list --all-projects --format csv --columns n) ]]; then
    say "the engine runs other instances and goes on running"
  else
    bash "$HERE/engine.sh" stop
  fi
fi
installed=$(tr '\n' ' ' 2>/dev/null <"$STATE_DIRECTORY/installed" || true)
rm -rf "$STATE_DIRECTORY" /var/log/dwi
rm -f /etc/apt/sources.list.d/dwi-backports.sources
if [[ -n $installed ]]; then
  say "packages that were installed for local hosts stay; to remove them: apt-get purge --autoremove $installed"
fi
