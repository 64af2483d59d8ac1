#!/usr/bin/env bash
# Makes this host use the secret of etcd's certificate authority as the platform has it now: host/apply-secret.sh calls this.
# A voter restarts etcd if the authorities that it has to trust are others than those it started with; only while all other
# voters answer, so that there is a majority without it.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh
# shellcheck source=../host/certificates.sh
source /opt/cluster/scripts/host/certificates.sh

# How long etcd may take to answer after a restart, seconds.
PATIENCE=30
# The agent reads the certificates every two seconds (agent/etcd.ts), and must have read these before the next phase.
AGENT_READS=3

restart() {
  local address
  while read -r address; do
    list_members "$address" ||
      fail "etcd at $address does not answer, and without it there is no majority while etcd restarts on $HOST_NAME"
  done < <(addresses_of_others)
  if list_members "$HOST_ADDRESS"; then hand_over; fi
  systemctl restart "$UNIT"
}

# answers: whether this host's member has a vote, and a certificate of the authority that issues them now.
answers() {
  local AUTHORITY=$issuer
  list_members "$HOST_ADDRESS" && ! is_learner
}

lock_members 60 || fail "another script is changing this host's membership: try again when it has finished"
fetch_secret etcd-authority-seed
rm --force "$CERTIFICATE_SEEN"
"$HERE/certificates.sh"
if is_voter; then
  if ! cmp --quiet "$AUTHORITY" "$TRUSTED"; then restart; fi
  issuer=$ETCD_RUN/issuer.pem
  issuer "$AUTHORITY" >"$issuer"
  SECONDS=0
  until answers; do
    ((SECONDS < PATIENCE)) || fail "etcd did not answer within $PATIENCE s with a certificate of the authority; its log: journalctl -u $UNIT"
    sleep 0.2
  done
fi
read_secret etcd-authority-seed
if [[ $HOST_ROLE == database && $phase != former ]]; then sleep "$AGENT_READS"; fi
