#!/usr/bin/env bash
# Sends a command to the agent of this host (agent/command-socket.ts), and prints its answer.
#
#   agent.sh candidate    the facts about this host that a decision about the primary needs, as JSON
#   agent.sh status       the facts that an operator needs, as JSON
#   agent.sh state        the current state of this host's server, as JSON
#   agent.sh observe      publish the server's state on the health port at once
#   agent.sh close [SUCCESSOR]
#                         close this host to writes, until it is promoted, follows another primary, or is released;
#                         with automatic failover SUCCESSOR takes over, or any replica
#   agent.sh leave        the server is about to be stopped: a replica takes over first, if one may
#   agent.sh release      allow it to reopen by itself
#   agent.sh promote [--lost HOST]... [--accept-loss]
#                         promote this host. If there are objections, prints them and does nothing;
#                         --lost HOST declares the host permanently lost, or at least closed;
#                         --accept-loss consents to losing acknowledged writes that are not here
set -euo pipefail
# shellcheck source=/dev/null
source /etc/cluster/host.env

if ! answer=$(
  printf '%s\n' "$@" |
    curl --silent --show-error --max-time 60 --unix-socket "$DATABASE_RUN/agent.sock" --data-binary @- \
      --write-out '%{http_code}' http://agent/ 2>&1
); then
  printf 'the agent does not answer: %s\n' "$answer" >&2
  exit 1
fi
if [[ $answer == *200 ]]; then
  printf '%s' "${answer%200}"
else
  printf '%s' "${answer%???}" >&2
  exit 1
fi
