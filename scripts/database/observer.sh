#!/usr/bin/env bash
# Keeps the answers of the health port up to date, every second, whatever else is going on.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"

while true; do
  observe
  # Until there is data the server is about to clone some and to restart, which a connection would delay.
  # shellcheck disable=SC2154 # comes from gather.sh
  if [[ $own_state != member ]]; then close_session; fi
  pause 0.9
done
