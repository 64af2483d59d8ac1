# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from gather.sh
# What speaks against making this host the primary. Nothing is asked and nothing is changed here: what
# was gathered comes in, sentences go out.
#
# objections OWN RUN SIGHT DURABILITY LOST [PEER...]
#
# OWN, PEER   as decide takes them
# RUN         same, when this server has run on since it last had received all that the primary had executed;
#             anew, when it was started since: of what it acknowledged before, something may be missing
# SIGHT       what the primary last said of its writes, before it fell silent: `on`, they waited for a
#             replica; `off`, they did not; `none`, it is not known here
# DURABILITY  lossless or available
# LOST        hosts for which somebody vouches that they are closed, separated by commas, or -
#
# Prints a line for each objection: what overrides it, the host it is about, and the sentence, between
# tabs. What overrides it is
#   nothing       only another state of things
#   lost          somebody's word that the host is closed
#   accept-loss   somebody's word that acknowledged writes may go
#   time          nothing: it passes by itself
#
# Those about the host's own tables are in engines.sh.

objection() {
  printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}

# About a peer that answers. FOLLOWED is the host from which this one replicates at the moment.
# peer_objections OWN_TERM FOLLOWED NAME STATE DOOR TERM PRIMARY RELATION
peer_objections() {
  local own_term=$1 followed=$2 name=$3 state=$4 door=$5 term=$6 primary=$7 relation=$8
  if [[ $door != closed ]]; then
    if [[ $primary == "$name" ]]; then
      objection nothing "$name" "$name is the primary, and open: switch over instead"
    else
      objection nothing "$name" "$name is open, though not the primary: it closes itself within seconds"
    fi
  elif [[ $state == member ]]; then
    if ((term > own_term)) && [[ $followed == "$name" ]]; then
      objection time "$name" "this host has not applied the promotion of $primary yet, which it gets from $name"
    elif ((term > own_term)); then
      objection nothing "$name" "$name knows a newer promotion than this host does"
    elif ((term == own_term)); then
      case $relation in
        same | behind) ;;
        unknown) objection time "$name" "what $name holds could not be compared" ;;
        *)
          if [[ $followed == "$name" && $relation == ahead ]]; then
            objection time "$name" "this host has not received all that $name holds"
          else
            objection accept-loss "$name" "$name holds transactions that this host lacks: promote $name instead"
          fi
          ;;
      esac
    fi
  fi
}

# About acknowledged writes, where the primary itself cannot be asked. OTHERS are the further hosts that
# do not answer, each with a space before it.
loss_objections() {
  local primary=$1 run=$2 sight=$3 durability=$4 others=$5
  if [[ $run != same ]]; then
    objection accept-loss "$primary" \
      "this host's server was started anew since it last had all that $primary had executed: of what it acknowledged before, something may be missing"
  fi
  if [[ -n $others ]]; then
    objection accept-loss "$primary" \
      "$primary does not answer, nor does$others: a write that was acknowledged may be there alone"
  elif [[ $durability == lossless ]]; then
    return
  elif [[ $sight == off ]]; then
    objection accept-loss "$primary" \
      "$primary last said that its writes no longer waited for a replica: acknowledged ones may be there alone"
  elif [[ $sight != on ]]; then
    objection accept-loss "$primary" \
      "this host did not hear from $primary until it fell silent: acknowledged writes may be there alone"
  fi
}

objections() {
  local own=$1 run=$2 sight=$3 durability=$4 lost=$5
  shift 5
  local own_name own_state own_term own_primary own_source own_replication own_receipt
  local peer name state door term primary relation
  local is_primary_silent=no others="" followed=-
  IFS=, read -r own_name own_state _ own_term own_primary own_source own_replication _ _ _ own_receipt <<<"$own"
  if [[ $own_replication == running ]]; then followed=$own_source; fi
  if [[ $own_state != member ]]; then
    objection nothing "$own_name" "this host is $own_state: it has no data to serve"
    return
  fi
  if [[ $own_receipt == unapplied ]]; then
    if [[ $own_replication == failed ]]; then
      objection accept-loss "$own_name" "replication stopped on an error: this host cannot apply all it received"
    else
      objection time "$own_name" "this host has not applied all it received"
    fi
  fi
  for peer in "$@"; do
    IFS=, read -r name _ state door term primary relation <<<"$peer"
    if [[ $state != unknown ]]; then
      peer_objections "$own_term" "$followed" "$name" "$state" "$door" "$term" "$primary" "$relation"
      continue
    fi
    if [[ $name == "$own_primary" ]]; then is_primary_silent=yes; else others+=" $name"; fi
    if [[ ,$lost, != *",$name,"* ]]; then
      objection lost "$name" "$name does not answer: whether it is closed cannot be known"
    fi
  done
  if [[ $is_primary_silent == yes ]]; then
    loss_objections "$own_primary" "$run" "$sight" "$durability" "$others"
  fi
}

# sight: what the primary last said, if it was heard until the stream of its transactions broke off.
sight() {
  local name term at semi_sync
  # shellcheck disable=SC2153  # a path, of gather.sh
  if read -r name term at semi_sync 2>/dev/null <"$SIGHT" && [[ $name == "$own_primary" ]] &&
    ((term == own_term && EPOCHSECONDS - at <= own_silence + 5)); then
    printf '%s' "$semi_sync"
  else
    printf 'none'
  fi
}

# run_of_server: same or anew.
run_of_server() {
  local incarnation caught_up
  # shellcheck disable=SC2153  # paths, of common.sh
  if read -r incarnation 2>/dev/null <"$INCARNATION" && read -r caught_up 2>/dev/null <"$CAUGHT_UP" &&
    [[ $caught_up == "$incarnation $own_primary $own_term" ]]; then
    printf 'same'
  else
    printf 'anew'
  fi
}

# own_objections LOST: the same of what was just gathered.
own_objections() {
  objections "$(own_line)" "$(run_of_server)" "$(sight)" "$DATABASE_DURABILITY" "$1" "${PEERS[@]}"
}
