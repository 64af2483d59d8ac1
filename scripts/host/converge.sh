#!/usr/bin/env bash
# Converges a host once its packages are installed: first the steps of every host, then those of its role. Runs at every
# boot and after every change. Idempotent.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

# Makes chrony read the declared source, Amazon's time service. On other platforms it does not answer.
if [[ -n $(command -v chronyc) ]]; then
  chronyc reload sources >/dev/null || log "chrony could not reload its time sources"
fi
# At the first boot cloud-init writes the settings after systemd has applied them.
/usr/lib/systemd/systemd-sysctl /etc/sysctl.d/60-cluster.conf
enable_at_boot nftables.service

"/opt/cluster/scripts/$HOST_ROLE/converge.sh"
if [[ -n ${ETCD_DIRECTORY:-} ]]; then /opt/cluster/scripts/etcd/converge.sh; fi

# systemd may have read its units before cloud-init wrote some of them, and units were enabled without a reload.
read_units haproxy nginx mysql "cluster-*"
