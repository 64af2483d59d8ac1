# shellcheck shell=bash
# shellcheck disable=SC2154 # own_* come from gather.sh
# Writes what the health port answers: one line of flags, one line of JSON. The responder only
# reads it, so a poll costs no query, and what the responder can do is print this file.

ANSWERS=$RUN/answers
DECISION=$RUN/decision

# Longest silence of a source, and longest lag of an applier, with which a replica counts as fresh.
FRESH_SECONDS=5

status() {
  if "$@"; then echo 200; else echo 503; fi
}

is_primary() {
  [[ $own_state == member && $own_door == open && $own_primary == "$HOST_NAME" &&
    $own_source == - ]]
}

is_replica() {
  [[ $own_state == member && $own_door == closed && $own_primary != "$HOST_NAME" &&
    $own_replication == running && $own_connected == ON && $decision != errant ]] &&
    ((own_silence <= FRESH_SECONDS && own_lag <= FRESH_SECONDS))
}

# Stale or not: the last resort where no primary is. What is open but not primary is not readable.
is_readable() {
  is_primary || [[ $own_state == member && $own_door != open && $own_applied == 1 &&
    $decision != errant && $decision != behind ]]
}

# observe: asks the server once and writes the answers.
observe() {
  local decision="wait-for-server" since="" lag=$own_lag_unknown
  gather_own
  if [[ -r $DECISION ]]; then read -r decision since <"$DECISION" || true; fi
  if [[ $own_source != - ]]; then
    lag=$((own_silence > own_lag ? own_silence : own_lag))
    # Between two heartbeats a replica which has applied everything is not behind.
    if ((own_lag == 0 && own_silence <= FRESH_SECONDS)); then lag=0; fi
  fi
  {
    printf '%s %s %s %s\n' "$EPOCHSECONDS" "$(status is_primary)" "$(status is_replica)" \
      "$(status is_readable)"
    printf '{"host":"%s","state":"%s","door":"%s","term":%s,"primary":"%s","serverUuid":"%s",' \
      "$HOST_NAME" "$own_state" "$own_door" "$own_term" "$own_primary" "$own_uuid"
    printf '"source":"%s","replication":"%s","lagSeconds":%s,' \
      "$own_source_name" "$own_replication" "$lag"
    printf '"semiSync":"%s","semiSyncReplicas":%s,"doing":"%s","since":%s,' \
      "${own_semi_sync,,}" "$own_semi_sync_replicas" "$decision" "${since:-0}"
    printf '"gtidPurged":"%s","gtidExecuted":"%s"}\n' "$own_purged" "$own_executed"
  } >"$ANSWERS.$BASHPID"
  mv "$ANSWERS.$BASHPID" "$ANSWERS"
}
own_lag_unknown=null
