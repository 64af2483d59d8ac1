#!/usr/bin/env bash
# Keeps the answers of the health port up to date, every second, whatever else is going on.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"

own_state=unknown

# is_cloning: an empty server which clones restarts at the end, and waits two seconds for whoever is connected.
is_cloning() {
  [[ $own_state =~ ^(empty|partial)$ && -r $DECISION && $(<"$DECISION") == "clone "* ]]
}

while true; do
  if is_cloning; then tell; else observe; fi
  # It may be about to clone.
  if [[ $own_state != member ]]; then close_session; fi
  pause 0.9
done
