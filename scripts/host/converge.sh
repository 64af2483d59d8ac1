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
# Shell access goes through the platform, and etcd has a unit of its own.
unwanted=()
for unit in {ssh,etcd}.service ssh.socket; do
  if [[ -e /usr/lib/systemd/system/$unit && ! -L /etc/systemd/system/$unit ]]; then unwanted+=("$unit"); fi
done
if ((${#unwanted[@]} > 0)); then
  systemctl --quiet --no-reload mask "${unwanted[@]}"
  systemctl stop "${unwanted[@]}"
fi

"/opt/cluster/scripts/$HOST_ROLE/converge.sh"
/opt/cluster/scripts/host/exporters.sh
if [[ -n ${ETCD_DIRECTORY:-} ]]; then /opt/cluster/scripts/etcd/converge.sh; fi

# The role's steps may have changed some.
read_units "cluster-*"
