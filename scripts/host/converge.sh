#!/usr/bin/env bash
# Brings the host to its declared state. Runs at every boot and after every change; where nothing
# is to be done, it does nothing. It never waits for another host: units that retry do.
# shellcheck source=lib.sh
source /opt/cluster/host/lib.sh

main() {
  local packages newest taken=/var/lib/cluster/user-data
  # A boot and an update may meet.
  exec 8>/run/cluster-converge.lock
  flock 8
  mkdir --parents /var/lib/cluster
  # What the host booted with is what it has taken over first. EC2 is given it compressed.
  if [[ ! -e $taken ]]; then
    # It is text, and may have lost its last line break on the way.
    newest=$(gzip --decompress --stdout --force </var/lib/cloud/instance/user-data.txt)
    printf '%s\n' "$newest" >"$taken.new"
    mv "$taken.new" "$taken"
  fi

  # The firewall comes first: nothing listens before it stands.
  if command -v nft >/dev/null; then
    nft --file /etc/nftables.conf
  fi

  # shellcheck disable=SC2153  # a fact
  read -ra packages <<<"$PACKAGES"
  /opt/cluster/platform.sh install-packages "${packages[@]}"

  if ! nft list table inet cluster >/dev/null 2>&1; then
    nft --file /etc/nftables.conf
  fi
  # Amazon's time service is reached without a rule of any firewall.
  if command -v chronyc >/dev/null; then
    chronyc reload sources >/dev/null || log "chrony did not take the declared time source"
  fi
  systemctl is-enabled --quiet nftables.service || systemctl enable --quiet nftables.service

  "/opt/cluster/$HOST_ROLE/converge.sh"
  log "$HOST_NAME is at its declared state"
}

# The file may be replaced while it runs; bash has read it to the end by then.
main
exit
