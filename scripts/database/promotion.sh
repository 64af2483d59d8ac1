# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from gather.sh
# What speaks against making this host the primary. Nothing is asked and nothing is changed here: what
# was gathered comes in, sentences go out.
#
# objections OWN APPLIED SIGHT DURABILITY LOST [PEER...]
#
# OWN, PEER   as decide takes them
# APPLIED     1 when this host has applied all it received
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
#   time          nothing but a moment, or else the same as accept-loss
#
# Those about the host's own tables are in engines.sh.

objection() {
  printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}

# About a peer that answers.
peer_objections() {
  local own_term=$1 name=$2 state=$3 door=$4 term=$5 primary=$6 relation=$7
  if [[ $door != closed ]]; then
    if [[ $primary == "$name" ]]; then
      objection nothing "$name" "$name is the primary, and open: switch over instead"
    else
      objection nothing "$name" "$name is open, though not the primary: it closes itself within seconds"
    fi
  elif [[ $state == member ]]; then
    if ((term > own_term)); then
      objection nothing "$name" "$name knows a newer promotion than this host does"
    elif ((term == own_term)); then
      case $relation in
        same | behind) ;;
        unknown) objection time "$name" "what $name holds could not be compared" ;;
        *) objection time "$name" "$name holds transactions that this host lacks: promote $name instead" ;;
      esac
    fi
  fi
}

# About acknowledged writes, where the primary itself cannot be asked. OTHERS are the further hosts that
# do not answer, each with a space before it.
loss_objections() {
  local primary=$1 sight=$2 durability=$3 others=$4
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
  local own=$1 applied=$2 sight=$3 durability=$4 lost=$5
  shift 5
  local own_name own_state own_term own_primary peer name state door term primary relation
  local is_primary_silent=no others=""
  IFS=, read -r own_name own_state _ own_term own_primary _ <<<"$own"
  if [[ $own_state != member ]]; then
    objection nothing "$own_name" "this host is $own_state: it has no data to serve"
    return
  fi
  if [[ $applied != 1 ]]; then
    objection time "$own_name" "this host has not applied all it received"
  fi
  for peer in "$@"; do
    IFS=, read -r name _ state door term primary relation <<<"$peer"
    if [[ $state != unknown ]]; then
      peer_objections "$own_term" "$name" "$state" "$door" "$term" "$primary" "$relation"
      continue
    fi
    if [[ $name == "$own_primary" ]]; then is_primary_silent=yes; else others+=" $name"; fi
    if [[ ,$lost, != *",$name,"* ]]; then
      objection lost "$name" "$name does not answer: whether it is closed cannot be known"
    fi
  done
  if [[ $is_primary_silent == yes ]]; then
    loss_objections "$own_primary" "$sight" "$durability" "$others"
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

# own_objections LOST: the same of what was just gathered.
own_objections() {
  objections "$(own_line)" "$own_applied" "$(sight)" "$DATABASE_DURABILITY" "$1" "${PEERS[@]}"
}
