#!/usr/bin/env bash
# Makes this host the primary.
#
#   promote.sh [--lost HOST]... [--accept-loss]
#
# Every other database host must answer and be closed, and none may hold transactions which this one
# lacks; nor may acknowledged writes be on a host that is gone. What speaks against it is said, and
# nothing is done; candidate.sh tells it beforehand.
#
#   --lost HOST     whoever says so vouches that the host is gone for good, or at least closed. Should it
#                   come back open with an older term, it closes itself
#   --accept-loss   acknowledged writes that are not here may go. What another host holds of them is set
#                   aside in a file there, when it joins. What is on its way is waited for all the same
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=gather.sh
source "$HERE/gather.sh"
# shellcheck source=promotion.sh
source "$HERE/promotion.sh"
# shellcheck source=engines.sh
source "$HERE/engines.sh"
# shellcheck source=act.sh
source "$HERE/act.sh"
# shellcheck source=observe.sh
source "$HERE/observe.sh"

# How long what arrived may take to be applied, as it may be an acknowledged write's only copy; and how long
# a host that was just seen may take to answer.
PATIENCE=10

lost=- accept_loss=no
while (($#)); do
  case $1 in
    --accept-loss) accept_loss=yes ;;
    --lost)
      [[ -n ${PEER_ADDRESSES[${2:--}]:-} ]] || fail "--lost: no other database host named '${2:-}'"
      lost+=",$2"
      shift
      ;;
    *) fail "usage: promote.sh [--lost HOST]... [--accept-loss]" ;;
  esac
  shift
done
lost=${lost#-,}

hurry

# find_objections: sets found to what speaks against it and is not overridden. Whoever lets writes go does
# not mean those that are here, or arrive in a moment.
find_objections() {
  local kind host sentence
  patiently gather
  look_for_other_tables || true
  if [[ $own_receipt == unapplied && $own_replication == stopped ]]; then act_apply || true; fi
  found=()
  while IFS=$'\t' read -r kind host sentence; do
    [[ $accept_loss == yes && $kind =~ ^(accept-loss|tables)$ ]] || found+=("$kind"$'\t'"$host"$'\t'"$sentence")
  done < <(
    own_objections "$lost"
    table_objections
  )
}

# is_passing: whether everything that speaks against it may pass by itself.
is_passing() {
  local line
  for line in "${found[@]}"; do
    [[ $line =~ ^(time|lost)$'\t' ]] || return 1
  done
}

lock_part 10
deadline=$((SECONDS + PATIENCE))
find_objections
while ((${#found[@]} > 0 && SECONDS < deadline)) && is_passing; do
  pause 0.1
  find_objections
done
if [[ $own_door == open && $own_primary == "$HOST_NAME" && $own_source == - ]]; then
  log "$HOST_NAME is the primary already"
  exit
fi
if ((${#found[@]} > 0)); then
  for line in "${found[@]}"; do
    log "${line##*$'\t'}"
  done
  if is_passing; then log "that did not change within $PATIENCE s"; fi
  fail "not promoted"
fi
act_promote "${PEERS[@]}"
observe
log "$HOST_NAME is the primary"
