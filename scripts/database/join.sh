#!/usr/bin/env bash
# Supervises this host's part in the cluster: gather, decide, act, again and again. A loop rather
# than a unit that ends when the host has joined, because a primary must go on looking for a newer
# one, and a replica for a new source.
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=decide.sh
source "$HERE/decide.sh"
# shellcheck source=act.sh
source "$HERE/act.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"
# shellcheck source=transactions.sh
source "$HERE/transactions.sh"

PEERS=()
last=""
noted=0

# explain: what was seen, for the journal and for whoever wonders what it waits for.
explain() {
  local seen peer name state door
  seen="this host: $own_state, $own_door, term $own_term of $own_primary"
  for peer in "${PEERS[@]}"; do
    IFS=, read -r name _ state door _ <<<"$peer"
    seen+="; $name: $state"
    if [[ $state != unknown ]]; then seen+=", $door"; fi
  done
  printf '%s' "$seen"
}

note() {
  if [[ $1 == "$last" ]]; then
    # A server that does its work for a minute has not ended for the sake of its data.
    if [[ $1 =~ ^(serve|follow)$ && -e $CRASHED ]] && ((SECONDS > noted + 60)); then
      rm --force "$CRASHED"
    fi
    return
  fi
  last=$1
  noted=$SECONDS
  log "$1 ($(explain))"
  printf '%s %s\n' "$1" "$EPOCHSECONDS" >"$DECISION.new"
  mv "$DECISION.new" "$DECISION"
}

leader_address() {
  local name
  read -r name _ <<<"$(leader "${PEERS[@]}")"
  printf '%s' "${PEER_ADDRESSES[$name]}"
}

# What the primary has executed.
leader_executed() {
  local name line executed
  read -r name _ <<<"$(leader "${PEERS[@]}")"
  for line in "${PEER_FACTS[@]}"; do
    if [[ ${line%%,*} == "$name" ]]; then read -r _ executed _ <<<"$line"; fi
  done
  printf '%s %s' "$name" "$executed"
}

# set_aside_and_clone: the file first.
set_aside_and_clone() {
  local name executed
  read -r name executed <<<"$(leader_executed)"
  act_set_aside "$name" "$executed" && act_clone "${PEER_ADDRESSES[$name]}"
}

# judge_extra: where this host holds transactions which the primary lacks, looks whether any changes a row;
# those of a host that replicates are on their way to be told by the primary, but for its own.
judged="" judgement=""
judge_extra() {
  local name index
  read -r name _ <<<"$(leader "${PEERS[@]}")"
  [[ -n $name ]] || return 0
  for index in "${!PEERS[@]}"; do
    case ${PEERS[index]} in
      "$name",*,strayed) ;;
      "$name",*,behind | "$name",*,diverged)
        [[ $own_replication != running || $own_source_name != "$name" ]] || continue
        ;;
      *) continue ;;
    esac
    if [[ ${EXTRA[$name]} != "$judged" ]]; then
      judgement=$(first_change "${EXTRA[$name]}") || judgement=unknown
      judged=${EXTRA[$name]}
    fi
    if [[ -z $judgement ]]; then PEERS[index]=${PEERS[index]%,*},rowless; fi
  done
}

# note_caught_up INCARNATION: that this run of the server has received all that the primary had executed.
note_caught_up() {
  local name term caught_up
  read -r name term _ <<<"$(leader "${PEERS[@]}")"
  caught_up="$1 $name $term"
  if [[ ${RECEIVED[$name]:-0} == 1 && $caught_up != "$(cat "$CAUGHT_UP" 2>/dev/null)" ]]; then
    printf '%s\n' "$caught_up" >"$CAUGHT_UP.new"
    mv "$CAUGHT_UP.new" "$CAUGHT_UP"
  fi
}

# skip: forgets what was judged.
skip() {
  local name executed
  read -r name executed <<<"$(leader_executed)"
  act_skip "$judged" "$name" "$executed" || return
  judged="" judgement=""
}

# clone_again: what a clone did not mend is not cloned again in haste, which would wear out the primary.
next_clone=0
clone_again() {
  if [[ $own_state == member ]] && ((SECONDS < next_clone)); then return; fi
  next_clone=$((SECONDS + 60))
  act_clone "$(leader_address)"
}

act() {
  case $1 in
    found) act_found ;;
    clone) clone_again ;;
    apply) act_apply ;;
    skip) skip ;;
    set-aside) set_aside_and_clone ;;
    join) act_join "$(leader_address)" ;;
    ready) act_ready ;;
    reopen) act_reopen ;;
    close | retreat) act_close ;;
    wait-for-space) [[ $own_door == ready ]] || act_refuse ;;
    errant | behind) act_stop_replica ;;
    serve) act_serve && act_declare ;;
    *) return 0 ;;
  esac
}

# step: one round. It is the only one that acts without being asked, so it gathers without the lock: a
# person's promotion does not wait for a peer that does not answer. What was decided is void when somebody
# acted meanwhile.
step() {
  local word before=$last decided_in incarnation=none
  read_generation
  decided_in=$generation
  # Before the server is asked: should it be started anew meanwhile, this is no longer its name.
  if [[ -r $INCARNATION ]]; then read -r incarnation <"$INCARNATION" || true; fi
  gather
  judge_extra
  word=$(decide "$HOST_NUMBER" "$(own_line)" "${PEERS[@]}")
  flock "$lock"
  read_generation
  if [[ $generation == "$decided_in" ]]; then
    note "$word"
    if [[ $word == follow ]]; then note_caught_up "$incarnation"; fi
    if ! act "$word"; then
      log "$word failed, trying again"
      last="$word failed"
    fi
  else
    word=""
  fi
  # Said, because processes that were started meanwhile and stay have the file open as well.
  flock --unlock "$lock"
  case $word in
    serve | follow | wait-for-primary) seconds=2 ;;
    found | clone | apply | skip | set-aside | join | ready | reopen | close | retreat)
      observe
      seconds=0.1
      # What did not help at once is not repeated in haste.
      if [[ $word == "${before% failed}" ]]; then seconds=2; fi
      ;;
    *) seconds=0.2 ;;
  esac
}

while true; do
  seconds=1
  step
  pause "$seconds"
done
