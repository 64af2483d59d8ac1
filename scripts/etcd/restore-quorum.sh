#!/usr/bin/env bash
# Makes this host's member the only one of its cluster, with the data that it has. For an operator, when the majority of
# the voters is lost for good: voters that come back, or new ones, join it by themselves.
# https://etcd.io/docs/v3.5/op-guide/recovery/
#
# It refuses while there is a majority. What the lost members alone had is lost: the record of who is primary may be
# older than the last change of it.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

lock_members 30 || fail "another script is changing this host's membership: try again when it has finished"
has_data || fail "$HOST_NAME has no data of a member: run this on a voter that has"
if list_members "$HOST_ADDRESS" || list_members_of_others; then
  fail "a majority of the voters is up, as the member at $via answers; nothing was changed"
fi
systemctl stop "$UNIT"
printf '{"force-new-cluster": true}\n' | next_start
start_alone
log "$HOST_NAME is now the only member; the other voters will join it by themselves"
