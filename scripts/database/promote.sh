#!/usr/bin/env bash
# Makes this host the primary. Run by a person, or by what a person runs.
#
#   promote.sh [--lost HOST]...
#
# Every other database host must answer and be closed, and none may hold transactions which this
# one lacks. A host named with --lost is believed to be gone for good, or at least closed: whoever
# names it vouches for that. Should it come back open with an older term, it closes itself.
# shellcheck source=common.sh
source /opt/cluster/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=act.sh
source "$HERE/act.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"

lost=" "
while (($#)); do
  case $1 in
    --lost)
      [[ -n ${PEER_ADDRESSES[${2:--}]:-} ]] || fail "--lost: no other database host named '${2:-}'"
      lost+="$2 "
      shift 2
      ;;
    *) fail "usage: promote.sh [--lost HOST]..." ;;
  esac
done

# objections: what speaks against it, one line each.
objections() {
  local peer name state door term relation
  if [[ $own_state != member ]]; then echo "$HOST_NAME is $own_state"; fi
  if [[ $own_applied != 1 ]]; then echo "$HOST_NAME has not applied all it received"; fi
  for peer in "${PEERS[@]}"; do
    IFS=, read -r name _ state door term _ relation <<<"$peer"
    if [[ $state == unknown ]]; then
      [[ $lost == *" $name "* ]] || echo "$name does not answer"
      continue
    fi
    if [[ $door != closed ]]; then echo "$name is $door"; fi
    if [[ $state == member ]]; then
      if ((term > own_term)); then echo "$name knows a newer term"; fi
      case $relation in
        same | behind) ;;
        *) echo "$name has transactions that $HOST_NAME lacks, or could not be compared" ;;
      esac
    fi
  done
}

exec {lock}>"$RUN/lock"
flock --timeout 10 "$lock" || fail "this host is in the middle of something, a clone perhaps"
# What was received is applied first, for some seconds; it may be an acknowledged write's only copy.
for ((attempt = 0; attempt < 20; attempt++)); do
  gather
  found=$(objections)
  if [[ -z $found ]]; then break; fi
  sleep 0.5
done
[[ -z $found ]] || fail "not promoted: ${found//$'\n'/; }"
if [[ $own_door != closed && $own_primary == "$HOST_NAME" ]]; then
  log "$HOST_NAME is the primary already"
  exit 0
fi
act_promote
observe
log "$HOST_NAME is the primary"
