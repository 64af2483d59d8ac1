#!/usr/bin/env bash
# Runs before every start of Prometheus and Alertmanager: mounts the data volume and makes the folder of a program's data.
#
#   prepare.sh prometheus|alertmanager PERCENT   of the host's memory, which its runtime is to keep to
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

program=$1 percent=$2
# Both programs may start at once.
exec 9>/run/cluster-monitor.lock
flock 9
/opt/cluster/platform.sh data-volume "$MONITOR_VOLUME"
install --directory --owner="$MONITOR_USER" --group="$MONITOR_USER" --mode=0750 "$MONITOR_VOLUME/$program"
# User IDs may differ on a rebuilt host.
if [[ -n $(find "$MONITOR_VOLUME/$program" ! -user "$MONITOR_USER" -print -quit) ]]; then
  chown --recursive "$MONITOR_USER:$MONITOR_USER" "$MONITOR_VOLUME/$program"
fi
# The runtime frees memory more eagerly as it nears this.
read -r _ kibibytes _ </proc/meminfo
install --directory --mode=0755 "$MONITOR_RUN"
printf 'GOMEMLIMIT=%sMiB\n' $((kibibytes * percent / 100 / 1024)) >"$MONITOR_RUN/$program.env"
if [[ $program == alertmanager ]]; then "$(dirname -- "$0")/receivers.sh"; fi
