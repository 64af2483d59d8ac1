# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from gather.sh
# Tells the health port what to answer. A poll then costs no query and no process.

ANSWERS=/etc/haproxy/answers.map
DECISION=$RUN/decision

# Longest silence of a source, and longest lag of an applier, with which a replica counts as fresh.
FRESH_SECONDS=5

is_primary() {
  [[ $own_state == member && $own_door == open && $own_primary == "$HOST_NAME" &&
    $own_source == - ]]
}

# What counts is when the source was last heard, not whether it is there now: for a moment after a primary
# is gone the web servers do not know it yet, and would ask it instead.
is_replica() {
  [[ $own_state == member && $own_door == closed && $own_primary != "$HOST_NAME" &&
    $own_replication == running && $decision != errant && $decision != set-aside ]] &&
    ((own_silence <= FRESH_SECONDS && own_lag <= FRESH_SECONDS))
}

# Stale or not: the last resort where no primary is. What is open but not primary is not readable.
is_readable() {
  is_primary || [[ $own_state == member && $own_door != open && $own_applied == 1 &&
    $own_replication != failed && ! $decision =~ ^(errant|set-aside|behind|clone)$ ]]
}

# The primary which refuses writes for want of room is the primary all the same: whoever writes is told so
# at once, instead of looking for another.
is_full_primary() {
  [[ $decision == wait-for-space && $own_state == member && $own_door == ready &&
    $own_primary == "$HOST_NAME" && $own_source == - ]]
}

# describe: puts what was gathered into STATE, as JSON, and into STATUSES of /primary, /replica and
# /readable.
# shellcheck disable=SC2034  # read by whoever sources this file
describe() {
  local decision="wait-for-server" since="" lag=null primary=503 replica=503 readable=503
  if [[ -r $DECISION ]]; then read -r decision since <"$DECISION" || true; fi
  if [[ $own_source != - ]]; then
    lag=$((own_silence > own_lag ? own_silence : own_lag))
    # Between two heartbeats a replica which has applied everything is not behind.
    if ((own_lag == 0 && own_silence <= FRESH_SECONDS)); then lag=0; fi
  fi
  if [[ -e $RESTORING ]]; then
    decision=restoring
  else
    if is_primary || is_full_primary; then primary=200; fi
    if is_replica; then replica=200; fi
    if is_readable; then readable=200; fi
  fi
  printf -v STATE '%s' \
    "{\"host\":\"$HOST_NAME\",\"state\":\"$own_state\",\"door\":\"$own_door\",\"term\":$own_term," \
    "\"primary\":\"$own_primary\",\"serverUuid\":\"$own_uuid\",\"source\":\"$own_source_name\"," \
    "\"replication\":\"$own_replication\",\"lagSeconds\":$lag,\"semiSync\":\"${own_semi_sync,,}\"," \
    "\"semiSyncReplicas\":$own_semi_sync_replicas,\"doing\":\"$decision\",\"since\":${since:-0}," \
    "\"gtidPurged\":\"$own_purged\",\"gtidExecuted\":\"$own_executed\"}"
  STATUSES=("$primary" "$replica" "$readable")
}

# observe: asks the server once and publishes what it says.
observe() {
  gather_own
  tell
}

# tell: publishes what the server said last.
tell() {
  describe
  publish "$EPOCHSECONDS|${STATUSES[0]}|${STATUSES[1]}|${STATUSES[2]}|$STATE"
}

# publish ANSWERS: what the health port answers from now on. The port forgets everything when it is
# started anew, so all of it is said every time. No value has white space or a semicolon.
publish() {
  local authority=-
  if [[ -r $AUTHORITY_ANSWER ]]; then read -r authority <"$AUTHORITY_ANSWER" || true; fi
  printf 'set map %s now %s; set map %s certificate-authority %s\n' \
    "$ANSWERS" "$1" "$ANSWERS" "$authority" |
    socat -t 1 - UNIX-CONNECT:/run/haproxy/admin.sock >/dev/null 2>&1 || true
}
