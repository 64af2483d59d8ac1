#!/usr/bin/env bash
# Gives this host a key and a certificate, issued by the database's certificate authority.
#
#   certificates.sh [--look]   with --look also if everything was found valid within a day
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh
# shellcheck source=../host/certificates.sh
source /opt/cluster/scripts/host/certificates.sh

AUTHORITY_KEY=/run/cluster/secrets/certificate-authority.key
# AppArmor lets mysqld read /etc/mysql and below. The server's key is here rather than with the data, so that it is
# neither on the volume nor in a backup of it.
AUTHORITY=$MYSQL_CONFIGURATION/certificate-authority.pem
KEY=$MYSQL_CONFIGURATION/server.key
CERTIFICATE=$MYSQL_CONFIGURATION/server.pem
# When the certificate was last found valid, and for which names.
SEEN=$DATABASE_RUN/certificates-seen
NAMES="$CLUSTER_NAME $HOST_NAME $HOST_ADDRESS"

# tell_authority: publishes the answer to /certificate-authority. A client that has the app's password can verify that
# the sender of the certificate has it too.
tell_authority() {
  local app authentication
  app=$(password mysql-app-password)
  authentication=$(hmac_sha256 "$app" <"$AUTHORITY")
  printf '%s|%s\n' "$authentication" "$(base64 --wrap=0 "$AUTHORITY")" >"$AUTHORITY_ANSWER.new"
  mv "$AUTHORITY_ANSWER.new" "$AUTHORITY_ANSWER"
}

main() {
  if [[ ${1:-} != --look && -e $AUTHORITY_ANSWER ]] && was_valid "$SEEN" "$NAMES"; then return; fi
  # The daily check and a convergence may coincide.
  exec 7>"$DATABASE_RUN/certificates.lock"
  flock 7
  install --directory --mode=0755 "$MYSQL_CONFIGURATION"
  make_authorities certificate-authority-seed "$AUTHORITY_KEY" "$CLUSTER_NAME database authority" "$AUTHORITY"
  is_valid "$AUTHORITY" "$KEY" "$CERTIFICATE" "$DATABASE_SERVER_NAME" ||
    issue "$AUTHORITY" "$AUTHORITY_KEY" "$KEY" "$CERTIFICATE" mysql "$DATABASE_SERVER_NAME"
  # A running server loads a new one without a restart; a starting server reads it anyway. Sent every time, so that one
  # missed answer does not matter.
  printf 'ALTER INSTANCE RELOAD TLS;\n' | sql 5 2>/dev/null || true
  tell_authority
  note_valid "$SEEN" "$NAMES"
}

main "$@"
exit
