#!/usr/bin/env bash
# Decides whether etcd may start, as its unit's ExecCondition, and writes the configuration for this start. It starts
# where this host has a member's data, or was told how to begin: by create.sh, membership.sh or restore-quorum.sh.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

is_voter || fail "this host is not a voter"
has_volume || fail "the data volume is not mounted yet"
[[ -s $KEY ]] || fail "this host has no certificate yet"
[[ -s $NEXT_START ]] || has_data || fail "this host has no data of a member yet: membership.sh will join the other voters"

# User IDs may differ on a rebuilt host.
if [[ $(stat --format=%U "$DATA") != etcd ]]; then chown --recursive etcd:etcd "$DATA"; fi
[[ -s $NEXT_START ]] || printf '{}\n' >"$NEXT_START"
cp "$AUTHORITY" "$TRUSTED"
jq --slurp add "$ETCD_CONFIGURATION/etcd.json" "$NEXT_START" >"$ETCD_RUN/etcd.json.new"
mv "$ETCD_RUN/etcd.json.new" "$ETCD_RUN/etcd.json"
rm "$NEXT_START"
