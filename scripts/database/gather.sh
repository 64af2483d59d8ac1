# shellcheck shell=bash
# shellcheck disable=SC2034 # own_* are read by whoever sources this file
# Looks at this host's server and at its peers; changes nothing. What cannot be learnt within a
# second is unknown.

# A person's word outlives a reboot.
HELD=$DATA_VOLUME/held
PEER_ANSWERS=$RUN/peers
mkdir --parents "$PEER_ANSWERS"

# What the server says of itself, in one row. Placeholders stand for what is empty, because `read`
# takes two tabs for one. The table of terms is asked only where it is, so that an error is never
# taken for its absence.
#
# An applier's lag is counted from the commit on the primary of what is being applied now
# (https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-applier-status-by-worker-table.html);
# Seconds_Behind_Source says 0 as well when nothing arrives any more. What arrived last, a
# transaction or a heartbeat, tells whether the source is still heard.
own_query() {
  cat <<'SQL'
SET SESSION max_execution_time = 1000, @term = NULL, @primary = NULL;
SET @query = IF(
  (SELECT COUNT(*) FROM information_schema.tables
    WHERE table_schema = 'cluster' AND table_name = 'primary_term') = 1,
  'SELECT term, host INTO @term, @primary FROM cluster.primary_term ORDER BY term DESC LIMIT 1',
  'DO 0');
PREPARE query FROM @query;
EXECUTE query;
SELECT
  'own',
  CASE WHEN @term IS NOT NULL THEN 'member' WHEN @@gtid_executed = '' THEN 'empty'
    ELSE 'partial' END,
  CASE WHEN @@super_read_only THEN 'closed' WHEN @@read_only THEN 'ready' ELSE 'open' END,
  COALESCE(@term, 0),
  COALESCE(@primary, '-'),
  @@server_uuid,
  COALESCE(NULLIF(REPLACE(@@gtid_executed, '\n', ''), ''), '-'),
  COALESCE(NULLIF(REPLACE(@@gtid_purged, '\n', ''), ''), '-'),
  COALESCE(NULLIF(configuration.host, ''), '-'),
  COALESCE(connection.service_state, 'OFF'),
  COALESCE(applier.service_state, 'OFF'),
  COALESCE(GTID_SUBSET(connection.received_transaction_set, @@gtid_executed), 1),
  COALESCE(TIMESTAMPDIFF(SECOND, GREATEST(connection.last_heartbeat_timestamp,
    connection.last_queued_transaction_end_queue_timestamp), NOW(6)), 999999),
  IF(GTID_SUBSET(connection.received_transaction_set, @@gtid_executed), 0,
    COALESCE(
      TIMESTAMPDIFF(SECOND, workers.applying_since, NOW(6)),
      TIMESTAMPDIFF(SECOND, connection.last_queued_transaction_start_queue_timestamp, NOW(6)),
      999999)),
  COALESCE((SELECT variable_value FROM performance_schema.global_status
    WHERE variable_name = 'Rpl_semi_sync_source_status'), 'OFF'),
  COALESCE((SELECT variable_value FROM performance_schema.global_status
    WHERE variable_name = 'Rpl_semi_sync_source_clients'), 0)
FROM (SELECT '' AS channel_name) AS channel
LEFT JOIN performance_schema.replication_connection_configuration AS configuration
  USING (channel_name)
LEFT JOIN performance_schema.replication_connection_status AS connection USING (channel_name)
LEFT JOIN performance_schema.replication_applier_status AS applier USING (channel_name)
LEFT JOIN (
  SELECT channel_name, MIN(applying_transaction_original_commit_timestamp) AS applying_since
  FROM performance_schema.replication_applier_status_by_worker
  WHERE applying_transaction <> ''
  GROUP BY channel_name
) AS workers USING (channel_name);
SQL
}

# relation_query NAME EXECUTED PURGED: how a peer's transactions stand to this host's.
relation_query() {
  local executed=${2/#-/} purged=${3/#-/}
  cat <<SQL
SELECT 'peer', '$1', CASE
  WHEN GTID_SUBSET(@@gtid_executed, '$executed') THEN CASE
    WHEN GTID_SUBSET('$executed', @@gtid_executed) THEN 'same'
    WHEN GTID_SUBSET('$purged', @@gtid_executed) THEN 'ahead'
    ELSE 'purged' END
  WHEN GTID_SUBSET('$executed', @@gtid_executed) THEN 'behind'
  ELSE 'diverged' END;
SQL
}

# field NAME PATTERN JSON: a value of a flat JSON object, if it is there and matches.
field() {
  local pattern="\"$1\":\"?($2)\"?[,}]"
  [[ $3 =~ $pattern ]] && printf '%s' "${BASH_REMATCH[1]}"
}

# peer_facts NAME JSON: `name,number,state,door,term,primary executed purged`. The answer came over
# the network: each value must look as it should before it is used.
peer_facts() {
  local name=$1 answer=$2 state door term primary executed purged
  if [[ $(field host '[a-z0-9-]+' "$answer") == "$name" ]] &&
    state=$(field state 'empty|partial|member' "$answer") &&
    door=$(field door 'open|ready|closed' "$answer") &&
    term=$(field term '[0-9]{1,15}' "$answer") &&
    primary=$(field primary '[a-z0-9-]+' "$answer") &&
    executed=$(field gtidExecuted '[0-9A-Za-z_:,-]+' "$answer") &&
    purged=$(field gtidPurged '[0-9A-Za-z_:,-]+' "$answer"); then
    printf '%s,%s,%s,%s,%s,%s %s %s\n' \
      "$name" "${name##*-}" "$state" "$door" "$term" "$primary" "$executed" "$purged"
  else
    printf '%s,%s,unknown,closed,0,- - -\n' "$name" "${name##*-}"
  fi
}

# gather_peers: asks all peers at once; one line of peer_facts for each.
gather_peers() {
  local name address
  while read -r name address; do
    : >"$PEER_ANSWERS/$name"
    curl --silent --fail --connect-timeout 0.5 --max-time 1 --max-filesize 262144 \
      --output "$PEER_ANSWERS/$name" "http://$address:$HEALTH_PORT/state" &
  done < <(peers)
  wait || true
  while read -r name address; do
    peer_facts "$name" "$(tr --delete '\0' <"$PEER_ANSWERS/$name")"
  done < <(peers)
}

# own_facts ROW: sets the own_* variables from a row of own_query, or to what a server that does
# not answer is taken for.
own_facts() {
  local kind io sql_thread
  IFS=$'\t' read -r kind own_state own_door own_term own_primary own_uuid own_executed own_purged \
    own_source io sql_thread own_applied own_silence own_lag own_semi_sync own_semi_sync_replicas \
    <<<"$1"
  if [[ $kind != own || -z $own_semi_sync_replicas ]]; then
    own_state=unknown own_door=closed own_term=0 own_primary=- own_uuid=- own_executed=-
    own_purged=- own_source=- io=OFF sql_thread=OFF own_applied=0 own_silence=999999
    own_lag=999999 own_semi_sync=OFF own_semi_sync_replicas=0
  fi
  own_source_name=-
  if [[ $own_source != - ]]; then
    own_source_name=$(name_of "$own_source")
    own_source_name=${own_source_name:-unknown}
  fi
  # An IO thread that goes on trying to reach its source runs; one that stopped on an error does not.
  own_replication=stopped
  if [[ $io != OFF && $sql_thread == ON ]]; then own_replication=running; fi
  own_connected=$io
  own_held=free
  if [[ -e $HELD ]]; then own_held=held; fi
  own_backing=backed
  if [[ $DATABASE_DURABILITY == lossless && -n ${DATABASE_PEERS:-} ]] &&
    ((own_semi_sync_replicas == 0)); then
    own_backing=alone
  fi
}

# gather_own: this host's server alone.
gather_own() {
  local row
  row=$(own_query | sql 1 2>/dev/null) || row=""
  own_facts "$row"
}

# gather: this host's server and every peer. Sets own_* and the array PEERS, in the form decide
# takes them. The peers are asked first: their transactions then are never newer than our own.
gather() {
  local facts executed purged rows kind name relation line
  local -A relations=()
  local -a lines=()
  mapfile -t lines < <(gather_peers)
  rows=$(
    {
      own_query
      for line in "${lines[@]}"; do
        read -r facts executed purged <<<"$line"
        [[ $facts != *,member,* ]] || relation_query "${facts%%,*}" "$executed" "$purged"
      done
    } | sql 1 2>/dev/null
  ) || rows=""
  own_facts "${rows%%$'\n'*}"
  while IFS=$'\t' read -r kind name relation; do
    if [[ $kind == peer ]]; then relations[$name]=$relation; fi
  done <<<"$rows"
  PEERS=()
  for line in "${lines[@]}"; do
    facts=${line%% *}
    name=${facts%%,*}
    PEERS+=("$facts,${relations[$name]:-unknown}")
  done
}

# own_line: this host in the form decide takes it.
own_line() {
  printf '%s,%s,%s,%s,%s,%s,%s,%s,%s' "$HOST_NAME" "$own_state" "$own_door" "$own_term" \
    "$own_primary" "$own_source_name" "$own_replication" "$own_held" "$own_backing"
}
