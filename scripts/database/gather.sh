# shellcheck shell=bash
# shellcheck disable=SC2034 # own_* are read by whoever sources this file
# Looks at this host's server and at its peers; changes nothing. What cannot be learnt within a
# second is unknown.

# A person's word outlives a reboot.
HELD=$DATA_VOLUME/held
PEER_ANSWERS=$RUN/peers
[[ -d $PEER_ANSWERS ]] || mkdir --parents "$PEER_ANSWERS"
# What the primary last said of itself: `name term time semiSync`.
SIGHT=$RUN/sight
# How long a peer may take to accept a connection.
PEER_SECONDS=0.5
# As much of the data volume as must be free for writes to be taken: the server needs room of its own.
RESERVE=64MiB

# What the server says of itself, in one row. Placeholders stand for what is empty, because `read`
# takes two tabs for one. The table of terms is asked only where it is, so that an error is never
# taken for its absence.
#
# An applier's lag is counted from the commit on the primary of what is being applied now
# (https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-applier-status-by-worker-table.html);
# Seconds_Behind_Source says 0 as well when nothing arrives any more. What arrived last, a
# transaction or a heartbeat, tells whether the source is still heard.
read -r -d "" OWN_QUERY <<'SQL' || true
SET SESSION max_execution_time = 1000, @term = NULL, @primary = NULL, @received = NULL;
SET @query = IF(
  (SELECT COUNT(*) FROM information_schema.tables
    WHERE table_schema = 'cluster' AND table_name = 'primary_term') = 1,
  'SELECT term, host INTO @term, @primary FROM cluster.primary_term ORDER BY term DESC LIMIT 1',
  'DO 0');
PREPARE query FROM @query;
EXECUTE query;
SELECT received_transaction_set INTO @received
  FROM performance_schema.replication_connection_status WHERE channel_name = '';
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
  COALESCE(connection.last_error_number, 0),
  GREATEST(
    COALESCE((SELECT MAX(last_error_number)
      FROM performance_schema.replication_applier_status_by_coordinator), 0),
    COALESCE((SELECT MAX(last_error_number)
      FROM performance_schema.replication_applier_status_by_worker), 0)),
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

# relation_query VARIABLE NAME TERM EXECUTED PURGED UUID: adds to the variable the question how a peer's
# transactions stand to this host's: the relation, whether this host has received all of the peer's, and
# which transactions the peer lacks. What a host writes itself begins with its own server's identity: where
# another is primary none of that arrives any more, and none of it is missed by the primary of the newest term.
relation_query() {
  local executed=${4/#-/} purged=${5/#-/} any=":1-9223372036854775806"
  printf -v "$1" '%s' "${!1}
SET @executed = IF(@primary = '$HOST_NAME' AND @term >= $3, GTID_SUBTRACT('$executed', '$6$any'), '$executed');
SET @extra = GTID_SUBTRACT(@@gtid_executed, @executed);
SET @strayed = IF(@primary <> '$HOST_NAME',
  GTID_SUBTRACT(@extra, GTID_SUBTRACT(@extra, CONCAT(@@server_uuid, '$any'))), '');
SELECT 'peer', '$2', CASE
  WHEN @strayed <> '' THEN 'strayed'
  WHEN GTID_SUBSET(@@gtid_executed, @executed) THEN CASE
    WHEN GTID_SUBSET(@executed, @@gtid_executed) THEN 'same'
    WHEN GTID_SUBSET('$purged', @@gtid_executed) THEN 'ahead'
    ELSE 'purged' END
  WHEN GTID_SUBSET(@executed, @@gtid_executed) THEN 'behind'
  ELSE 'diverged' END,
  GTID_SUBSET(@executed, CONCAT_WS(',', NULLIF(@@gtid_executed, ''), NULLIF(@received, ''))),
  COALESCE(NULLIF(REPLACE(IF(@strayed <> '', @strayed, @extra), '\\n', ''), ''), '-');"
}

# field VARIABLE NAME PATTERN JSON: sets the variable to a value of a flat JSON object, if it is there
# and matches.
field() {
  local pattern="\"$2\":\"?($3)\"?[,}]"
  [[ $4 =~ $pattern ]] && printf -v "$1" '%s' "${BASH_REMATCH[1]}"
}

# peer_facts NAME JSON: adds `name,number,state,door,term,primary executed purged uuid` to PEER_FACTS. The
# answer came over the network: each value must look as it should before it is used.
peer_facts() {
  local name=$1 answer=$2 host state door term primary executed purged uuid semi_sync
  if field host host '[a-z0-9-]+' "$answer" && [[ $host == "$name" ]] &&
    field state state 'empty|partial|member' "$answer" &&
    field door door 'open|ready|closed' "$answer" &&
    field term term '[0-9]{1,15}' "$answer" &&
    field primary primary '[a-z0-9-]+' "$answer" &&
    field executed gtidExecuted '[0-9A-Za-z_:,-]+' "$answer" &&
    field purged gtidPurged '[0-9A-Za-z_:,-]+' "$answer" &&
    field uuid serverUuid '[0-9a-f-]{36}' "$answer"; then
    PEER_FACTS+=("$name,${name##*-},$state,$door,$term,$primary $executed $purged $uuid")
    if [[ $door == open && $primary == "$name" ]] && field semi_sync semiSync 'on|off' "$answer"; then
      printf '%s %s %s %s\n' "$name" "$term" "$EPOCHSECONDS" "$semi_sync" >"$SIGHT"
    fi
  else
    PEER_FACTS+=("$name,${name##*-},unknown,closed,0,- - - -")
  fi
}

# gather_peers: asks all peers at once; sets PEER_FACTS, one line of peer_facts for each.
gather_peers() {
  local peer name answer
  local -a transfers=()
  PEER_FACTS=()
  for peer in ${DATABASE_PEERS:-}; do
    name=${peer%%:*}
    : >"$PEER_ANSWERS/$name"
    transfers+=(--output "$PEER_ANSWERS/$name" "http://${peer#*:}:$HEALTH_PORT/state")
  done
  if ((${#transfers[@]} == 0)); then return; fi
  # Each transfer that fails leaves its file as it is: empty.
  curl --silent --fail --parallel --parallel-immediate --connect-timeout "$PEER_SECONDS" --max-time 1 \
    --max-filesize 262144 "${transfers[@]}" || true
  for peer in ${DATABASE_PEERS:-}; do
    name=${peer%%:*}
    IFS= read -r answer <"$PEER_ANSWERS/$name" || answer=""
    peer_facts "$name" "$answer"
  done
}

# own_facts ROW: sets the own_* variables from a row of own_query, or to what a server that does
# not answer is taken for.
own_facts() {
  local kind io sql_thread io_error sql_error
  IFS=$'\t' read -r kind own_state own_door own_term own_primary own_uuid own_executed own_purged \
    own_source io sql_thread io_error sql_error own_applied own_silence own_lag own_semi_sync \
    own_semi_sync_replicas <<<"$1"
  if [[ $kind != own || -z $own_semi_sync_replicas ]]; then
    own_state=unknown own_door=closed own_term=0 own_primary=- own_uuid=- own_executed=-
    own_purged=- own_source=- io=OFF sql_thread=OFF io_error=0 sql_error=0 own_applied=0 own_silence=999999
    own_lag=999999 own_semi_sync=OFF own_semi_sync_replicas=0
  fi
  own_source_name=-
  if [[ $own_source != - ]]; then
    own_source_name=${PEER_NAMES[$own_source]:-unknown}
  fi
  # An IO thread that goes on trying to reach its source runs; one that stopped on an error does not.
  own_replication=stopped
  if [[ $io != OFF && $sql_thread == ON ]]; then
    own_replication=running
  elif { ((sql_error > 0)) && [[ $sql_thread == OFF ]]; } || { ((io_error > 0)) && [[ $io == OFF ]]; }; then
    own_replication=failed
  fi
  own_receipt=unapplied
  if ((own_applied == 1)); then own_receipt=applied; fi
  # A log that was cut off when its host ended is fetched again by whoever joins.
  if ((sql_error == 1594 || sql_error == 13121)); then own_replication=stopped own_receipt=applied; fi
  own_held=free
  if [[ -e $HELD ]]; then own_held=held; fi
  own_backing=backed
  if [[ $DATABASE_DURABILITY == lossless && -n ${DATABASE_PEERS:-} ]] &&
    ((own_semi_sync_replicas == 0)); then
    own_backing=alone
  fi
}

# look_for_room: sets own_space, every five seconds while there is room. Room is what can be had, whatever
# a filesystem says is free: there may be a quota.
own_space=full
next_look=0
look_for_room() {
  if [[ $own_space == room ]] && ((SECONDS < next_look)); then return; fi
  next_look=$((SECONDS + 5))
  own_space=room
  if ! fallocate --length "$RESERVE" "$DATA_VOLUME/reserve" 2>/dev/null; then own_space=full; fi
  rm --force "$DATA_VOLUME/reserve"
}

# hurry: for a question whose answer writes wait for. Peers are near, and whether there is room is another.
hurry() {
  PEER_SECONDS=0.2 own_space=room next_look=$((SECONDS + 3600))
}

# gather_own: this host's server alone.
gather_own() {
  ask 1 "$OWN_QUERY" || true
  own_facts "${ROWS[0]:-}"
}

# gather: this host's server and every peer. Sets own_* and the array PEERS, in the form decide
# takes them, and by the name of each peer RECEIVED, 1 where this host has received all that the peer has
# executed, and EXTRA, what is here and not there. The peers are asked first: their transactions then are
# never newer than our own.
gather() {
  local facts executed purged uuid state term kind name relation received extra line query=$OWN_QUERY
  local -A relations=()
  declare -gA RECEIVED=() EXTRA=()
  # It connects while the peers are asked.
  if [[ -z ${session_pid:-} ]]; then open_session; fi
  gather_peers
  look_for_room
  for line in "${PEER_FACTS[@]}"; do
    read -r facts executed purged uuid <<<"$line"
    IFS=, read -r name _ state _ term _ <<<"$facts"
    [[ $state != member ]] || relation_query query "$name" "$term" "$executed" "$purged" "$uuid"
  done
  ask 1 "$query" || true
  own_facts "${ROWS[0]:-}"
  for line in "${ROWS[@]}"; do
    IFS=$'\t' read -r kind name relation received extra <<<"$line"
    if [[ $kind == peer ]]; then relations[$name]=$relation RECEIVED[$name]=$received EXTRA[$name]=$extra; fi
  done
  PEERS=()
  for line in "${PEER_FACTS[@]}"; do
    facts=${line%% *}
    name=${facts%%,*}
    PEERS+=("$facts,${relations[$name]:-unknown}")
  done
}

# is_running: whether there is a server, be it starting, hanging or well.
is_running() {
  pgrep --exact mysqld >/dev/null
}

# patiently FUNCTION: gathers by it, and again where a server that runs is slow to answer: it must not be
# taken for gone.
patiently() {
  local attempt
  for attempt in 1 2 3; do
    "$1"
    if [[ $own_state != unknown ]] || ((attempt == 3)) || ! is_running; then return; fi
  done
}

# own_line: this host in the form decide takes it.
own_line() {
  printf '%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s' "$HOST_NAME" "$own_state" "$own_door" "$own_term" \
    "$own_primary" "$own_source_name" "$own_replication" "$own_held" "$own_backing" "$own_space" "$own_receipt"
}
