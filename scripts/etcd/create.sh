#!/usr/bin/env bash
# Creates a cluster of etcd with this host as its only member; the other voters join it by themselves.
#
# There must never be two. So it refuses where this host has a member's data, or where another voter answers; that the
# others have none, whoever calls it has to know.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

is_voter || fail "$HOST_NAME is no voter: those are ${ETCD_ENDPOINTS:-none, as database.failover is manual}"
lock_members 30 || fail "this host's membership is being changed: try again"
has_volume || fail "the data volume is not mounted yet"
if has_data; then fail "$HOST_NAME has a member's data already, in $DATA"; fi
"$HERE/certificates.sh"
if list_members_of_others; then fail "there is a cluster already: $via answers"; fi

install_directory
# A cluster's id is a hash of its first member's address and this token.
token=$(</proc/sys/kernel/random/uuid)
jq --null-input --arg member "$HOST_NAME=$OWN_URL" --arg token "$CLUSTER_NAME-$token" \
  '{"initial-cluster": $member, "initial-cluster-state": "new", "initial-cluster-token": $token}' | next_start
start_alone
jq --raw-output '"\(.header.cluster_id) \(.header.member_id)"' <<<"$members" >"$IDENTITY"
log "created a cluster of etcd, whose only member is $HOST_NAME"
