#!/usr/bin/env bash
# Prints this host's part in etcd as JSON; null if it has none.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

is_voter || has_data || { printf 'null\n' && exit; }
voter=false data=false said=null status=null
if is_voter; then voter=true; fi
if has_data; then data=true; fi
if list_members "$HOST_ADDRESS"; then
  said=$members
  status=$(call "$HOST_ADDRESS" maintenance/status '{}') || status=null
fi
jq --null-input --compact-output --argjson voter "$voter" --argjson data "$data" \
  --argjson said "$said" --argjson status "$status" --arg urls "$(voter_urls)" --arg endpoints "$ETCD_ENDPOINTS" \
  '[$urls | split("\n"), ($endpoints | split(" ") | map(sub(":.*"; "")))] | transpose | map({key: .[0], value: .[1]}) as $voters
   | ($voters | from_entries) as $names
   | {voter: $voter, hasData: $data, answers: ($said != null), cluster: ($said.header.cluster_id // null),
      members: [($said.members // [])[] | {name: ($names[.peerURLs[0]] // .name // .ID), learner: (.isLearner == true),
        started: (.name != null), leader: (.ID == $status.leader)}],
      bytes: ($status.dbSize // "0" | tonumber), alarms: ($status.errors // [])}'
