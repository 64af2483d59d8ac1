#!/usr/bin/env bash
# Makes this database host use a secret as the platform has it now: host/apply-secret.sh calls this.
#
#   apply-secret.sh NAME
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=declared.sh
source "$HERE/declared.sh"
# shellcheck source=repository.sh
source "$HERE/repository.sh"
# shellcheck source=../host/certificates.sh
source /opt/cluster/scripts/host/certificates.sh

# How long each may take, seconds: the primary's change reaches a replica, which may lag; a new certificate the health port.
REPLICATED=120
SERVED=30

# is_open: whether this host's server takes writes, as the primary's alone does.
is_open() {
  ask 5 "SELECT @@global.super_read_only;" && [[ ${ROWS[0]} == 0 ]]
}

# is_as_wanted USER: whether the server accepts what the phase says.
is_as_wanted() {
  local accepts
  if [[ $phase == steady ]]; then
    is_accepted "$1" "$value"
    return
  fi
  accepts=$(accepted "$1" "$value" "$other") || exit
  case $phase in
    next | previous) [[ $accepts == both ]] ;;
    former) [[ $accepts == value ]] ;;
  esac
}

# change_account USER: on the primary, by the declaration. A replica waits until it has that.
change_account() {
  local anew=()
  SECONDS=0
  while true; do
    if is_open; then
      lock_part 30
      # It may have been closed meanwhile.
      if is_open; then "$HERE/declare.sh" "${anew[@]}"; fi
      unlock
      anew=(--anew)
    fi
    if is_as_wanted "$1"; then return; fi
    ((SECONDS < REPLICATED)) ||
      fail "$HOST_NAME does not accept the passwords of $1 that step \`$phase\` wants, after $REPLICATED s: the primary changes them, and replicas replicate that; see status"
    sleep 0.5
  done
}

# reconnect: a replica logs in with the password in use. It keeps what it has received. If it does not replicate at the
# moment, the agent makes it follow with that password.
reconnect() {
  lock_part 60
  ask 5 "SELECT service_state FROM performance_schema.replication_connection_status;" || fail "the server does not answer"
  if [[ ${ROWS[0]:-OFF} != OFF ]]; then
    printf '%s\n' "
      STOP REPLICA IO_THREAD;
      START REPLICA IO_THREAD USER = '$REPLICATION_USER' PASSWORD = '$value';
    " | sql 30 2>&1 | without_secrets >&2
  fi
  unlock
  SECONDS=0
  until is_connected; do
    ((SECONDS < SERVED)) || fail "$HOST_NAME did not reconnect to its primary within $SERVED s; see status"
    sleep 0.2
  done
}

is_connected() {
  is_open && return
  ask 5 "SELECT service_state FROM performance_schema.replication_connection_status;" && [[ ${ROWS[0]:-} == ON ]]
}

# publish: until the health port answers with the authorities, and the server presents a certificate of the first of them.
publish() {
  local app
  "$HERE/certificates.sh" --look
  app=$(password mysql-app-password)
  SECONDS=0
  until [[ $(curl --silent --max-time 2 "http://$HOST_ADDRESS:$DATABASE_HEALTH_PORT/certificate-authority") == "$(<"$AUTHORITY_ANSWER")" ]] &&
    is_accepted "$DATABASE_USER" "$app" <(issuer "$MYSQL_CONFIGURATION/certificate-authority.pem"); do
    ((SECONDS < SERVED)) || fail "the health port of $HOST_NAME did not answer with its certificate authority within $SERVED s: journalctl -u cluster-database-agent"
    sleep 0.2
  done
}

# opens PASSWORD: whether it opens the repository, by restic's exit codes: 10 is no repository, 12 a wrong password
# (https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes).
opens() {
  local status=0
  RESTIC_PASSWORD_FILE=<(printf '%s' "$1") restic --quiet --no-lock cat config >/dev/null 2>&1 || status=$?
  case $status in
    0 | 12) return "$status" ;;
    10) return 10 ;;
    *) fail "whether the password opens the repository $RESTIC_REPOSITORY cannot be told: restic exited with $status" ;;
  esac
}

# with_password PASSWORD ARGUMENT...: restic.
with_password() {
  RESTIC_PASSWORD_FILE=<(printf '%s' "$1") restic --quiet --retry-lock 2m "${@:2}"
}

# change_repository: the repository has a key for each password (https://restic.readthedocs.io/en/stable/070_encryption.html).
change_repository() {
  local status=0 id
  use_repository
  opens "$value" || status=$?
  # A repository that is created later gets the value in use.
  if ((status == 10)); then return; fi
  if ((status == 12)); then
    if [[ -z $other ]] || ! opens "$other"; then fail "no password of the cluster opens the repository $RESTIC_REPOSITORY"; fi
    with_password "$other" key add --new-password-file <(printf '%s' "$value") >&2
  fi
  case $phase in
    next | previous)
      opens "$other" || with_password "$value" key add --new-password-file <(printf '%s' "$other") >&2
      ;;
    former)
      while opens "$other"; do
        id=$(with_password "$other" --no-lock key list --json | jq --raw-output '.[] | select(.current) | .id')
        with_password "$value" key remove "$id" >&2
      done
      ;;
  esac
}

fetch_secret "${1:?NAME}"
case $1 in
  mysql-app-password)
    read_password "$1"
    change_account "$DATABASE_USER"
    "$HERE/certificates.sh" --look
    ;;
  mysql-read-password)
    read_password "$1"
    change_account "$DATABASE_READ_USER"
    ;;
  mysql-replication-password)
    read_password "$1"
    change_account "$REPLICATION_USER"
    if [[ $phase == previous ]] && ! is_open; then reconnect; fi
    ;;
  certificate-authority-seed) publish ;;
  backup-password)
    read_secret "$1"
    change_repository
    ;;
  *) fail "a database host has no use for the secret $1" ;;
esac
