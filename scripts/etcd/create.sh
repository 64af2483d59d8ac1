#!/usr/bin/env bash
# Creates a cluster of etcd with this host as its only member; the other voters join it by themselves.
#
# There must never be two. So it refuses where this host has a member's data, or where another voter answers; that the
# others have none, whoever calls it has to know.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

is_voter || fail "$HOST_NAME is not a voter; the voters are: ${ETCD_ENDPOINTS:-none, as database.failover is manual}"
lock_members 30 || fail "another script is changing this host's membership: try again when it has finished"
has_volume || fail "the data volume is not mounted yet"
if has_data; then fail "$HOST_NAME already has the data of a member, in $DATA"; fi
"$HERE/certificates.sh"
if list_members_of_others; then fail "there is a cluster of etcd already: its member at $via answers"; fi

install_directory
# A cluster's id is a hash of its first member's address and this token.
token=$(</proc/sys/kernel/random/uuid)
jq --null-input --arg member "$HOST_NAME=$OWN_URL" --arg token "$CLUSTER_NAME-$token" \
  '{"initial-cluster": $member, "initial-cluster-state": "new", "initial-cluster-token": $token}' | next_start
start_alone
jq --raw-output '"\(.header.cluster_id) \(.header.member_id)"' <<<"$members" >"$IDENTITY"
log "created a cluster of etcd with $HOST_NAME as its only member"
