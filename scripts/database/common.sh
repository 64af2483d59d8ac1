# shellcheck shell=bash
# What the database scripts share: paths, the client, secrets in the form SQL takes them.

# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

HERE=/opt/cluster/scripts/database
DATA=$DATABASE_VOLUME/mysql
# Data that proved to be damaged, until there is a copy of the primary's again.
DAMAGED=$DATABASE_VOLUME/damaged
# Transactions that never reached the primary, a file for each time.
SET_ASIDE=$DATABASE_VOLUME/set-aside
# There while this host holds nothing but a copy of a primary's data.
FOLLOWS=$DATABASE_VOLUME/follows
# There when the server ended by itself, in a way that may come from damaged data.
CRASHED=$DATABASE_VOLUME/crashed
# Names the run of log files that the server numbers; one whose data is replaced begins another.
SERIES=$DATABASE_VOLUME/log-series
# Names this run of the server: another from each of its starts on.
INCARNATION=$DATABASE_RUN/incarnation
# There while a restore is under way, or was interrupted: what is here may be half of something.
RESTORING=$DATABASE_VOLUME/restoring
# The data of an empty server, where the host's image carries it.
EMPTY_SERVER=/var/lib/cluster/empty-server
# What the health port tells of the certificate authority: its authentication and the certificate.
AUTHORITY_ANSWER=$DATABASE_RUN/authority
REPLICATION_USER=replication
export DAMAGED SET_ASIDE FOLLOWS CRASHED SERIES RESTORING INCARNATION HERE DATA EMPTY_SERVER REPLICATION_USER AUTHORITY_ANSWER

[[ -d $DATABASE_RUN ]] || mkdir --parents "$DATABASE_RUN"

# sql SECONDS: runs the SQL on its standard input as root, through the socket. SQL never is an
# argument, so no secret is ever in a process list.
sql() {
  timeout --kill-after=1 "$1" mysql --no-defaults --user=root --socket="$MYSQL_SOCKET" \
    --connect-timeout=2 --batch --skip-column-names --default-character-set=utf8mb4
}

# password NAME: a secret, known to be harmless between single quotes.
password() {
  local value
  value=$(secret "$1")
  [[ $value =~ ^[A-Za-z0-9]{20,128}$ ]] || fail "secret $1 is not of letters and digits"
  printf '%s' "$value"
}

# replication_password: a password for replication has at most 32 characters
# (https://dev.mysql.com/doc/refman/8.4/en/change-replication-source-to.html, SOURCE_PASSWORD);
# of a longer one the receiver would silently send another than the account has.
replication_password() {
  local value
  value=$(password mysql-replication-password) || return
  printf '%s' "${value:0:32}"
}

# Who changes what a database host is holds this lock while it does, the agent as well. What that has seen before is void
# once somebody else has held it: the generation tells.
GENERATION=$DATABASE_RUN/generation
exec {lock}>"$DATABASE_RUN/lock"

# take_lock SECONDS: waits for the lock, and takes it as somebody who decides for himself.
take_lock() {
  flock --timeout "$1" "$lock" || return
  printf '%s.%s\n' "$$" "$EPOCHREALTIME" >"$GENERATION"
}

# lock_part SECONDS: the same, for whoever does nothing without it.
lock_part() {
  take_lock "$1" || fail "this host is in the middle of something, a clone perhaps"
}

# ask SECONDS SQL: sets ROWS to what root is answered. Fails when there is no answer, an error, or none within the
# seconds.
# shellcheck disable=SC2034  # read by whoever sources this file
ask() {
  local answer
  answer=$(printf '%s\n' "$2" | sql "$1" 2>/dev/null) || return
  ROWS=()
  [[ -z $answer ]] || mapfile -t ROWS <<<"$answer"
}

# look: sets own_state, own_writability, own_primary and own_executed to what the agent hears of this host's server
# now; the state is `unknown` where one of them does not answer.
# shellcheck disable=SC2034  # read by whoever sources this file
look() {
  local said
  own_state=unknown own_writability=closed own_primary=- own_executed=-
  said=$("$HERE/agent.sh" state | jq --raw-output '[.state, .writability, .primary, .gtidExecuted] | join(" ")') || return 0
  read -r own_state own_writability own_primary own_executed <<<"$said"
}

# An error message quotes the statement near its mistake.
without_secrets() {
  sed --regexp-extended "s/(IDENTIFIED BY|PASSWORD *=) *'[^']*'?/\1 (secret)/g"
}
