# shellcheck shell=bash
# Decides what a database host does next. Nothing is asked and nothing is changed here: what was
# gathered comes in, one word goes out. The rules are those of docs/invariants.md: every server
# starts closed, and an uncertain answer to 'are you the primary' is no.
#
# decide NUMBER OWN [PEER...]
#
# NUMBER  this host's number
# OWN     name,state,door,term,primary,source,replication,held,backing,space,receipt
# PEER    name,number,state,door,term,primary,relation
#
# state        unknown  does not answer, or makes no sense
#              empty    holds nothing
#              partial  holds data, but no term: a clone was interrupted
#              member   holds the cluster's data
# door         open    to writes
#              ready   to be cloned and replicated from, and to be opened; refuses the app's writes
#              closed
# term         number of the newest promotion it knows of, 0 if none
# primary      the host which that promotion made primary, - if none
# source       the host it is set to replicate from, - if none
# replication  running
#              failed   it stopped on an error: what arrives does not fit the data that is here
#              stopped
# held         held or free: a person closed it and it must not reopen by itself
# backing      backed  opening it is no risk: a replica acknowledges, or none has to
#              alone   durability is lossless, and no replica acknowledges
# space        room or full: whether the data volume has room for more
# receipt      applied    what it received from a source is applied
#              unapplied  some of it is in the relay log alone
# relation     what the peer's transactions are to this host's:
#              same or ahead     it has all of ours
#              behind            we have all of its
#              diverged          each has some which the other lacks
#              strayed           transactions were written here, while the peer was primary
#              rowless           there are transactions here which the peer lacks, and none changes a row
#              purged            it has all of ours, but no longer the log of those we lack
#              unknown           could not be compared
#
# Words:
# found clone join follow ready reopen serve close         do that, or go on doing it
# retreat                close, so that an empty peer can clone: where writes wait for a replica,
#                        a clone in turn waits for those writes
# wait-for-server wait-for-founder wait-for-peers          wait, and for what
# wait-for-primary wait-for-release wait-for-close wait-for-replica
# wait-for-space         refuse the app's writes until there is room again
# apply                  apply what was received before the server was started anew: acknowledged writes may
#                        be among it
# skip                   forget the transactions which the primary lacks, and which change no row
# set-aside              copy the transactions which the primary by a newer term lacks into a file, then clone
# errant                 holds transactions the primary lacks, by the same term: stays closed, replicates nothing
# behind                 a peer has transactions which this host, the primary, lacks: stays closed

# The peer to follow: not closed, and primary by the newest term which it knows itself. Among several
# the one with the newest term.
# leader PEER...: prints `name term relation`, or nothing.
leader() {
  local peer best="" best_term=0
  local name state door term primary relation
  for peer in "$@"; do
    IFS=, read -r name _ state door term primary relation <<<"$peer"
    [[ $state == member && $door != closed && $primary == "$name" ]] || continue
    if ((term > best_term)); then
      best_term=$term
      best="$name $term $relation"
    fi
  done
  printf '%s' "$best"
}

# Empty: the data is cloned from the primary. Only where no peer can hold any is it begun anew.
decide_empty() {
  local own_state=$1 number=$2 leader=$3 peer
  shift 3
  local peer_number state unknown=0 data=0 lower=0
  if [[ -n $leader ]]; then
    echo clone
    return
  fi
  for peer in "$@"; do
    IFS=, read -r _ peer_number state _ <<<"$peer"
    case $state in
      empty) if ((peer_number < number)); then lower=1; fi ;;
      member | partial) data=1 ;;
      *) unknown=1 ;;
    esac
  done
  if ((data)); then
    echo wait-for-primary
  elif ((unknown)); then
    # The peer that does not answer might hold the data.
    echo wait-for-peers
  elif [[ $own_state == partial ]]; then
    echo wait-for-primary
  elif ((lower)); then
    echo wait-for-founder
  else
    echo found
  fi
}

# Whether an open primary stands in the way of the only peers which could acknowledge its writes.
blocks_clone() {
  local peer state empty=0
  for peer in "$@"; do
    IFS=, read -r _ _ state _ <<<"$peer"
    case $state in
      empty | partial) empty=1 ;;
      member) ;;
      *) return 1 ;;
    esac
  done
  ((empty))
}

# Primary by its own newest term, and not open: it reopens only when nothing speaks against it.
decide_reopen() {
  local own_term=$1 held=$2 peer
  shift 2
  local state door term relation unknown=0 open=0 newer=0 ahead=0
  for peer in "$@"; do
    IFS=, read -r _ _ state door term _ relation <<<"$peer"
    case $state in
      empty) continue ;;
      member) ;;
      partial) continue ;;
      *)
        unknown=1
        continue
        ;;
    esac
    if [[ $door != closed ]]; then open=1; fi
    if ((term > own_term)); then newer=1; fi
    case $relation in
      same | behind) ;;
      unknown) unknown=1 ;;
      *) ahead=1 ;;
    esac
  done
  if ((newer)); then
    echo wait-for-primary
  elif ((open)); then
    echo wait-for-close
  elif ((ahead)); then
    echo behind
  elif ((unknown)); then
    echo wait-for-peers
  elif [[ $held == held ]]; then
    echo wait-for-release
  else
    echo reopen
  fi
}

decide_primary() {
  local door=$1 term=$2 held=$3 backing=$4 space=$5 verdict
  shift 5
  verdict=$(decide_reopen "$term" "$held" "$@")
  if [[ $space == full && $verdict:$door =~ ^(reopen|wait-for-peers):ready$ ]]; then
    echo wait-for-space
    return
  fi
  case $verdict:$door:$backing in
    reopen:closed:backed) if [[ $space == full ]]; then echo ready; else echo reopen; fi ;;
    reopen:*:backed) echo reopen ;;
    reopen:ready:*) echo wait-for-replica ;;
    reopen:closed:*) echo ready ;;
    # It was made ready when every peer was known, or by a person who vouched for the others.
    wait-for-peers:ready:backed) echo reopen ;;
    wait-for-peers:*) echo wait-for-peers ;;
    *:ready:*) echo close ;;
    *) echo "$verdict" ;;
  esac
}

# Not primary by its own newest term, or no longer: it replicates from the leader.
decide_member() {
  local source=$1 replication=$2 term=$3 leader_name=$4 leader_term=$5 relation=$6 receipt=$7
  if [[ $receipt == unapplied && $replication == stopped ]]; then
    echo apply
    return
  fi
  if [[ $relation == rowless ]]; then
    echo skip
    return
  fi
  if [[ $relation == strayed ]]; then
    echo set-aside
    return
  fi
  if [[ $source == "$leader_name" && $replication == running ]]; then
    # Its transactions arrive between one answer and the next: comparing them proves nothing.
    echo follow
    return
  fi
  case $relation in
    same | ahead) if [[ $replication == failed ]]; then echo clone; else echo join; fi ;;
    purged) echo clone ;;
    behind | diverged) if ((leader_term > term)); then echo set-aside; else echo errant; fi ;;
    *) echo wait-for-primary ;;
  esac
}

decide() {
  local number=$1 own=$2
  shift 2
  local name state door term primary source replication held backing space receipt
  IFS=, read -r name state door term primary source replication held backing space receipt <<<"$own"
  local leader leader_name leader_term relation
  leader=$(leader "$@")
  read -r leader_name leader_term relation <<<"${leader:-- 0 unknown}"

  case $state in
    empty | partial)
      if [[ $door == open ]]; then
        echo close
      else
        decide_empty "$state" "$number" "$leader" "$@"
      fi
      return
      ;;
    member) ;;
    *)
      echo wait-for-server
      return
      ;;
  esac

  local rightful=0
  if [[ $primary == "$name" && $source == - ]] && ((leader_term <= term)); then rightful=1; fi

  if [[ $door != closed ]] && ((!rightful)); then
    echo close
  elif [[ $door == open ]]; then
    if [[ $backing == alone ]] && blocks_clone "$@"; then
      echo retreat
    elif [[ $space == full ]]; then
      echo wait-for-space
    else
      echo serve
    fi
  elif ((leader_term > term)) ||
    { [[ $primary != "$name" && $leader_name == "$primary" ]] && ((leader_term == term)); }; then
    decide_member "$source" "$replication" "$term" "$leader_name" "$leader_term" "$relation" "$receipt"
  elif [[ $primary == "$name" ]]; then
    decide_primary "$door" "$term" "$held" "$backing" "$space" "$@"
  elif [[ $receipt == unapplied && $replication == stopped ]]; then
    echo apply
  else
    # What replicates goes on trying by itself; what does not stays as it is.
    echo wait-for-primary
  fi
}
