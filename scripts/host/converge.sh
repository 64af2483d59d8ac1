#!/usr/bin/env bash
# Converges a host once its packages are installed: first the steps of every host, then those of its role. Runs at every
# boot and after every change. Idempotent.
# shellcheck source=lib.sh
source /opt/cluster/scripts/host/lib.sh

# At the first boot these come after systemd has read its settings.
cp --recursive /opt/cluster/scripts/files/. /

JOURNAL=/etc/systemd/journald.conf.d/60-cluster.conf

# Makes chrony read the declared source, Amazon's time service. On other platforms it does not answer.
if [[ -n $(command -v chronyc) ]]; then
  chronyc reload sources >/dev/null || log "chrony could not reload its time sources"
fi
/usr/lib/systemd/systemd-sysctl /etc/sysctl.d/60-cluster.conf
if changed journal "$JOURNAL"; then
  systemctl restart systemd-journald.service
  mark journal "$JOURNAL"
fi
enable_at_boot nftables.service
# Shell access goes through the platform.
if [[ -e /usr/lib/systemd/system/ssh.service && ! -L /etc/systemd/system/ssh.service ]]; then
  systemctl --quiet mask --now ssh.service ssh.socket
fi
# Drop-ins may have been written after systemd had loaded the services of packages.
read_units haproxy nginx keepalived app

"/opt/cluster/scripts/$HOST_ROLE/converge.sh"
if [[ -n ${ETCD_DIRECTORY:-} ]]; then /opt/cluster/scripts/etcd/converge.sh; fi

# systemd may have read its units before cloud-init wrote some of them, and units were enabled without a reload.
read_units haproxy nginx mysql "cluster-*"
