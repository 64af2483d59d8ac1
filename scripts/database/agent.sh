#!/usr/bin/env bash
# Asks the agent of this host (agent/commands.ts) to do something, and prints what it answers.
#
#   agent.sh candidate    what a decision about the primary needs to know of this host, as JSON
#   agent.sh status       what an operator wants to know, as JSON
#   agent.sh state        what this host's server says now, as JSON
#   agent.sh observe      have the health port say at once what the server says
#   agent.sh close        close this host to writes, until it is promoted, follows another primary, or is released
#   agent.sh release      let it open again by itself
#   agent.sh promote [--lost HOST]... [--accept-loss]
#                         make this host the primary. What speaks against it is said, and nothing is done;
#                         --lost HOST vouches that the host is gone for good, or at least closed;
#                         --accept-loss lets acknowledged writes go that are not here
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
