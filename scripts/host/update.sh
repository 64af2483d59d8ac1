#!/usr/bin/env bash
# Takes over a change of what this host carries: writes the files of its newest user-data, with
# cloud-init's own module, and converges. Does nothing when the user-data is the one last taken.
# shellcheck source=lib.sh
source /opt/cluster/host/lib.sh

# cloud-init writes into the files that are there, and bash reads a script while it runs it: what
# runs now keeps the file it began with, and the new text goes into another.
renew_scripts() {
  local script
  for script in /opt/cluster/*.sh /opt/cluster/*/*.sh; do
    cp --archive "$script" "$script.new"
    mv --force "$script.new" "$script"
  done
}

main() {
  local applied=/var/lib/cluster/user-data newest
  exec 9>/run/cluster-update.lock
  flock 9

  newest=$(mktemp /var/lib/cluster/user-data.XXXXXX)
  # shellcheck disable=SC2064  # the name is wanted as it is now
  trap "rm --force '$newest'" EXIT
  /opt/cluster/platform.sh user-data "$newest"
  if cmp --silent "$newest" "$applied"; then
    return
  fi

  log "taking over changed user-data"
  renew_scripts
  cloud-init single --name write_files --frequency always --file "$newest" >&2
  systemctl daemon-reload
  /opt/cluster/host/converge.sh
  # Only what was taken over whole counts as taken: an interrupted update starts again.
  mv "$newest" "$applied"
}

# The file may be replaced while it runs; bash has read it to the end by then.
main
exit
