#!/usr/bin/env bash
# Makes this host a member of etcd's cluster if it is a voter, and ends its membership if it is none. Runs at every boot,
# after every change, and every minute; fails, to run again soon, while this host has something to do.
#
# - Without a member's data a voter joins anew, and the member that it was before is removed.
# - Data of another cluster, of a member that was removed, or with which etcd does not start is set aside for that, but
#   only while a majority of the voters is there without this host.
# - A member that is no voter goes on until all voters are members, and is then removed by one of them.
# - Where failover has become manual a member goes on until the record is removed: the primary's agent, which does that,
#   may get its new settings later than this host.
#
# It never creates a cluster: create.sh does.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh

# How long a new member may take to have what the others have, seconds.
PATIENCE=20
# So often in a row etcd may fail before its data counts as damaged.
FAILURES=5

# How long a member goes on where failover has become manual, at most, seconds; and when that began.
STAY=300
LEAVING=$ETCD_RUN/leaving

# remove ID WHY
remove() {
  local answer
  log "removing member $1: $2"
  answer=$(call "$via" cluster/member/remove "$(with_id "$1")") ||
    fail "member $1 could not be removed: $(reason "$answer")"
}

# strangers: the members that are no voters.
strangers() {
  jq --raw-output --arg urls "$(voter_urls)" \
    '($urls | split("\n")) as $voters | .members[] | select(.peerURLs | any(IN($voters[])) | not) | .ID' <<<"$members"
}

# join: as a learner, which has no vote until it has what the others have. Expects `members` and `via`.
join() {
  local id answer
  for id in $(ids_at "$OWN_URL"); do
    remove "$id" "it was this host, whose data is gone"
  done
  # It may still run on files that are deleted.
  systemctl stop "$UNIT"
  answer=$(jq --null-input --compact-output --arg url "$OWN_URL" '{peerURLs: [$url], isLearner: true}')
  if ! answer=$(call "$via" cluster/member/add "$answer"); then
    # Nobody is let in while a member is away. One that is no voter does not come back.
    if [[ $(reason "$answer") == *unhealthy* ]]; then
      for id in $(strangers); do remove "$id" "it is not a voter, and does not answer"; done
    fi
    fail "the member at $via did not add this host yet: $(reason "$answer")"
  fi
  install_directory
  jq --raw-output '"\(.header.cluster_id) \(.member.ID)"' <<<"$answer" >"$IDENTITY"
  jq --arg name "$HOST_NAME" '.member.ID as $own | {"initial-cluster-state": "existing", "initial-cluster":
    [.members[] | (if .ID == $own then $name else .name // .ID end) + "=" + .peerURLs[0]] | join(",")}' <<<"$answer" | next_start
  start
  log "joining as a learner, added by the member at $via"
  SECONDS=0
  until list_members "$HOST_ADDRESS" && ! is_learner; do
    ((SECONDS < PATIENCE)) || fail "this host's member did not get a vote within $PATIENCE s"
    promote "$via_others" || true
    sleep 0.5
  done
}

# promote ADDRESS: asks a member to give this host's a vote. Refused until it has what the others have.
promote() {
  local id answer
  read -r _ id <"$IDENTITY"
  answer=$(call "$1" cluster/member/promote "$(with_id "$id")") || return
  log "this host's member has a vote now"
}

# verify: expects this host to have data.
verify() {
  local cluster="" member="" restarts
  systemctl --no-block start "$UNIT"
  if list_members "$HOST_ADDRESS"; then
    jq --raw-output '"\(.header.cluster_id) \(.header.member_id)"' <<<"$members" >"$IDENTITY.new"
    mv "$IDENTITY.new" "$IDENTITY"
    return
  fi
  list_members_of_others || return 0
  # A majority is there without this host.
  if [[ -s $IDENTITY ]]; then read -r cluster member <"$IDENTITY"; fi
  restarts=$(systemctl show --property NRestarts --value "$UNIT")
  if [[ -n $cluster && $(jq --raw-output .header.cluster_id <<<"$members") != "$cluster" ]]; then
    log "the data is from another cluster of etcd; moving it to $FORMER"
  elif [[ -n $member ]] && ! grep --quiet --line-regexp "$member" <<<"$(ids_at "$OWN_URL")"; then
    log "this host's member was removed; moving its data to $FORMER"
  elif ((restarts >= FAILURES)); then
    log "etcd does not start with its data; moving it to $FORMER"
  elif is_learner; then
    promote "$via" || fail "this host's member has no vote yet"
    return
  else
    return 0
  fi
  set_data_aside
  via_others=$via
  join
}

# remove_strangers: once every voter is a member with a vote.
remove_strangers() {
  local url id
  while read -r url; do
    jq --exit-status --arg url "$url" \
      'any(.members[]; (.peerURLs | index([$url])) and .isLearner != true)' <<<"$members" >/dev/null || return 0
  done < <(voter_urls)
  for id in $(strangers); do
    remove "$id" "it is not a voter"
  done
}

# take_part: as a voter.
take_part() {
  has_volume || fail "the data volume is not mounted yet"
  if has_data; then
    verify
  else
    list_members_of_others ||
      fail "no other voter is a member yet; the first one is created by the agent, or by an operator with $HERE/create.sh"
    via_others=$via
    join
  fi
  if list_members "$HOST_ADDRESS"; then remove_strangers; fi
}

# has_record: whether a majority still has the record, the one key there is.
has_record() {
  local answer
  answer=$(call "$HOST_ADDRESS" kv/range '{"key":"AA==","range_end":"AA==","count_only":true}') &&
    [[ $(jq '.count // "0" | tonumber' <<<"$answer") != 0 ]]
}

# is_needed: whether a primary may still go by the record although failover is manual.
is_needed() {
  [[ -z $ETCD_ENDPOINTS ]] && systemctl --quiet is-active "$UNIT" || return
  [[ -e $LEAVING ]] || touch "$LEAVING"
  (($(date +%s) - $(stat --format=%Y "$LEAVING") < STAY)) && has_record
}

# withdraw: as a host that is no voter.
withdraw() {
  local attempt
  has_volume || fail "the data volume is not mounted yet"
  [[ -d $DATA ]] || return 0
  if is_needed; then fail "failover is manual, and this host goes on until the record of the primary is removed"; fi
  if [[ -n $ETCD_ENDPOINTS ]] && systemctl --quiet is-active "$UNIT"; then
    # An election may be under way.
    for attempt in 1 2 3 4 5; do
      if list_members "$HOST_ADDRESS"; then
        if [[ -z $(ids_at "$OWN_URL") ]]; then break; fi
        hand_over
        log "this host is not a voter; it stays a member until all voters are members"
        return
      fi
      ((attempt == 5)) || sleep 1
    done
  fi
  set_data_aside
  rm --force "$LEAVING"
  log "this host is no longer a member; its data was moved to $FORMER"
}

main() {
  # create.sh holds the lock, or restore-quorum.sh.
  lock_members 0 || return 0
  if [[ -z $ETCD_ENDPOINTS ]]; then
    # The platform may have another secret of the authority when failover is automatic again.
    rm --force "$CERTIFICATE_SEEN"
    forget_secret etcd-authority-seed
  elif is_voter || [[ $HOST_ROLE == database ]]; then
    "$HERE/certificates.sh"
  fi
  if is_voter; then
    rm --force "$LEAVING"
    take_part
  else
    withdraw
  fi
}

main
exit
