# shellcheck shell=bash
# Shared by the database scripts: paths, the client, secrets in SQL form.

# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

HERE=/opt/cluster/scripts/database
DATA=$DATABASE_VOLUME/mysql
# Data that proved to be damaged, kept until the host has a copy of the primary's again.
DAMAGED=$DATABASE_VOLUME/damaged
# Transactions that never reached the primary, one file for each occasion.
SET_ASIDE=$DATABASE_VOLUME/set-aside
# Exists while this host holds only a copy of a primary's data.
FOLLOWS=$DATABASE_VOLUME/follows
# Exists if the server crashed in a way that may come from damaged data.
CRASHED=$DATABASE_VOLUME/crashed
# Names the series of log files that the server numbers; a server whose data is replaced starts a new series.
SERIES=$DATABASE_VOLUME/log-series
# Names this run of the server: new at each start, and, with automatic failover, each time it follows a primary anew.
INCARNATION=$DATABASE_RUN/incarnation
# Exists while a restore is in progress, or was interrupted: the data may be incomplete.
RESTORING=$DATABASE_VOLUME/restoring
# The data of an empty server, if the host's image has it.
EMPTY_SERVER=/var/lib/cluster/empty-server
# The health port's answer for the certificate authority: its authentication and the certificate.
AUTHORITY_ANSWER=$DATABASE_RUN/authority
REPLICATION_USER=replication
export DAMAGED SET_ASIDE FOLLOWS CRASHED SERIES RESTORING INCARNATION HERE DATA EMPTY_SERVER REPLICATION_USER AUTHORITY_ANSWER

[[ -d $DATABASE_RUN ]] || mkdir --parents "$DATABASE_RUN"

# sql SECONDS: runs the SQL on its standard input as root, through the socket. SQL is never an argument, so no secret is
# ever in a process list.
sql() {
  timeout --kill-after=1 "$1" mysql --no-defaults --user=root --socket="$MYSQL_SOCKET" \
    --connect-timeout=2 --batch --skip-column-names --default-character-set=utf8mb4
}

# read_password NAME: sets value, phase and other like read_secret, both values verified to be safe between single quotes.
read_password() {
  local one
  read_secret "$1"
  for one in "$value" ${other:+"$other"}; do
    [[ $one =~ ^[A-Za-z0-9]{20,128}$ ]] || fail "the secret $1 must consist of 20 to 128 letters and digits, and does not"
  done
  # A password for replication has at most 32 characters
  # (https://dev.mysql.com/doc/refman/8.4/en/change-replication-source-to.html, SOURCE_PASSWORD); with a longer one, the
  # receiver would silently send a different password than the account has.
  if [[ $1 == mysql-replication-password ]]; then value=${value:0:32} other=${other:0:32}; fi
}

# password NAME: prints the value in use.
password() {
  # shellcheck disable=SC2034 # set by it
  local value phase other
  read_password "$1"
  printf '%s' "$value"
}

# Everything that changes a database host's role or data holds this lock meanwhile, including the agent. The agent's
# observations are void once somebody else has held it: the generation shows that.
GENERATION=$DATABASE_RUN/generation
exec {lock}>"$DATABASE_RUN/lock"

# take_lock SECONDS: waits for the lock, takes it and changes the generation.
take_lock() {
  flock --timeout "$1" "$lock" || return
  printf '%s.%s\n' "$$" "$EPOCHREALTIME" >"$GENERATION"
}

# lock_part SECONDS: the same, for callers that do nothing without it.
lock_part() {
  take_lock "$1" || fail "another operation on this host is in progress, perhaps a clone: try again when it has finished"
}

unlock() { flock --unlock "$lock"; }

# ask SECONDS SQL: sets ROWS to root's query result. Fails if there is no answer, an error, or none within the timeout.
# shellcheck disable=SC2034  # read by whoever sources this file
ask() {
  local answer
  answer=$(printf '%s\n' "$2" | sql "$1" 2>/dev/null) || return
  ROWS=()
  [[ -z $answer ]] || mapfile -t ROWS <<<"$answer"
}

# look: sets own_state, own_writability, own_primary and own_executed to this host's server state, as the agent sees it
# now; the state is `unknown` if the agent or the server does not answer.
# shellcheck disable=SC2034  # read by whoever sources this file
look() {
  local said
  own_state=unknown own_writability=closed own_primary=- own_executed=-
  said=$("$HERE/agent.sh" state | jq --raw-output '[.state, .writability, .primary, .gtidExecuted] | join(" ")') || return 0
  read -r own_state own_writability own_primary own_executed <<<"$said"
}

# new_incarnation: names the run of the server anew.
new_incarnation() {
  cat /proc/sys/kernel/random/uuid >"$INCARNATION.new"
  mv "$INCARNATION.new" "$INCARNATION"
}

# An error message quotes the statement near the error.
without_secrets() {
  sed --regexp-extended "s/(IDENTIFIED BY|PASSWORD *=) *'[^']*'?/\1 (secret)/g"
}
