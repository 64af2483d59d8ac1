#!/usr/bin/env bash
# What every host does to come to its declared state, once its packages are there; then what its role
# does. Runs at every boot and after every change; where nothing is to be done, it does nothing.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

# Amazon's time service is reached without a rule of any firewall.
if [[ -n $(command -v chronyc) ]]; then
  chronyc reload sources >/dev/null || log "chrony did not take the declared time source"
fi
enable_at_boot nftables.service

"/opt/cluster/scripts/$HOST_ROLE/converge.sh"
if [[ -n ${ETCD_DIRECTORY:-} ]]; then /opt/cluster/scripts/etcd/converge.sh; fi

# systemd may have read its units before cloud-init wrote some, and was not told what was enabled.
read_units haproxy nginx mysql "cluster-*"
