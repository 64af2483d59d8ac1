# shellcheck shell=bash
# Shared by etcd's scripts: paths, requests to members, and what their list says.

# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

HERE=/opt/cluster/scripts/etcd
UNIT=cluster-etcd.service
DATA=$ETCD_DIRECTORY/data
# The ids of the cluster and of the member that the data is of.
IDENTITY=$ETCD_DIRECTORY/identity
# The data that this host had before it joined anew.
FORMER=$ETCD_DIRECTORY/former
# What the next start needs to know besides its configuration; prepare.sh removes it.
NEXT_START=$ETCD_RUN/next-start.json
AUTHORITY=$ETCD_CONFIGURATION/authority.pem
CERTIFICATE=$ETCD_CONFIGURATION/host.pem
KEY=$ETCD_CONFIGURATION/host.key
# When the certificate was last found valid, and for which names.
CERTIFICATE_SEEN=$ETCD_RUN/certificates-seen
# The authorities that the running etcd read when it started.
TRUSTED=$ETCD_RUN/trusted.pem
OWN_URL=https://$HOST_ADDRESS:$ETCD_PEER_PORT
export HERE UNIT IDENTITY FORMER NEXT_START TRUSTED AUTHORITY CERTIFICATE KEY CERTIFICATE_SEEN OWN_URL

is_voter() {
  [[ " $ETCD_ENDPOINTS" == *" $HOST_NAME:"* ]]
}

# has_data: the log of a member comes under its name when it is complete.
has_data() {
  [[ -d $DATA/member/wal ]]
}

# has_volume: whether the place of the data is mounted. mysql.service mounts it.
has_volume() {
  [[ $HOST_ROLE != database ]] || mountpoint --quiet "$DATABASE_VOLUME"
}

# addresses_of_others: of the other voters.
addresses_of_others() {
  local voter
  for voter in $ETCD_ENDPOINTS; do
    if [[ ${voter%:*} != "$HOST_NAME" ]]; then printf '%s\n' "${voter#*:}"; fi
  done
}

# voter_urls: of all voters, as members have them.
voter_urls() {
  local voter
  for voter in $ETCD_ENDPOINTS; do
    printf 'https://%s:%s\n' "${voter#*:}" "$ETCD_PEER_PORT"
  done
}

# call ADDRESS PATH JSON: a request to a member's JSON gateway. Prints the answer, of an error as well.
# https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/
call() {
  curl --disable --silent --noproxy '*' --fail-with-body --connect-timeout 1 --max-time 4 \
    --cacert "$AUTHORITY" --cert "$CERTIFICATE" --key "$KEY" \
    --data "$3" "https://$1:$ETCD_CLIENT_PORT/v3/$2"
}

# with_id ID: the body of a request about a member.
with_id() {
  jq --null-input --compact-output --arg id "$1" '{ID: $id}'
}

# list_members ADDRESS...: sets `members` to the list of the first member that answers with a majority behind it, and
# `via` to its address. A learner does not answer.
# shellcheck disable=SC2034  # read by whoever sources this file
list_members() {
  local address
  for address in "$@"; do
    if members=$(call "$address" cluster/member/list '{"linearizable":true}'); then
      via=$address
      return
    fi
  done
  members="" via=""
  return 1
}

# list_members_of_others
list_members_of_others() {
  local addresses
  mapfile -t addresses < <(addresses_of_others)
  list_members "${addresses[@]}"
}

# ids_at URL: the members in the list at that address. A host's address never changes.
ids_at() {
  jq --raw-output --arg url "$1" '.members[] | select(.peerURLs | index([$url])) | .ID' <<<"$members"
}

# is_learner: whether this host's member has no vote yet, by the list. Expects `members`.
is_learner() {
  jq --exit-status --arg url "$OWN_URL" '.members[] | select(.peerURLs | index([$url])) | .isLearner == true' \
    <<<"$members" >/dev/null
}

# hand_over: if this host's member is the leader, another one becomes it. Expects `members`.
hand_over() {
  local status successor
  status=$(call "$HOST_ADDRESS" maintenance/status '{}') || return 0
  if [[ $(jq '.leader == .header.member_id' <<<"$status") == true ]]; then
    successor=$(jq --raw-output --arg url "$OWN_URL" \
      'first(.members[] | select((.peerURLs | index([$url]) | not) and .isLearner != true)) | .ID' <<<"$members")
    call "$HOST_ADDRESS" maintenance/transfer-leadership \
      "$(jq --null-input --arg id "$successor" '{targetID: $id}')" >/dev/null || log "the leadership could not be transferred; this host is still the leader"
  fi
}

# reason ANSWER: an error's message, in words.
reason() {
  jq --raw-output '.message // .error // empty' 2>/dev/null <<<"$1" || true
}

# install_directory: empty, for a member's first start.
install_directory() {
  rm --recursive --force "$DATA" "$IDENTITY"
  install --directory --mode=0755 "$ETCD_DIRECTORY"
  install --directory --owner=etcd --group=etcd --mode=0700 "$DATA"
}

# next_start: what the next start is to know, from standard input.
next_start() {
  cat >"$NEXT_START.new"
  mv "$NEXT_START.new" "$NEXT_START"
}

# start: anew, whatever it has failed at before.
start() {
  systemctl reset-failed "$UNIT" 2>/dev/null || true
  systemctl --no-block restart "$UNIT"
}

# start_alone: as the only member, and waits until it answers.
start_alone() {
  local patience=30
  start
  SECONDS=0
  until list_members "$HOST_ADDRESS"; do
    ((SECONDS < patience)) || fail "etcd did not answer within $patience s; its log: journalctl -u $UNIT"
    sleep 0.2
  done
}

# set_data_aside: stops the member. One former data is kept.
set_data_aside() {
  systemctl stop "$UNIT"
  rm --recursive --force "$FORMER"
  if [[ -d $DATA ]]; then mv "$DATA" "$FORMER"; fi
  rm --force "$IDENTITY"
}

# lock_members SECONDS: only one script at a time changes this host's membership.
lock_members() {
  exec {members_lock}>"$ETCD_RUN/lock"
  flock --timeout "$1" "$members_lock"
}

[[ -d $ETCD_RUN ]] || mkdir --parents "$ETCD_RUN"
