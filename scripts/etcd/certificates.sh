#!/usr/bin/env bash
# Gives this host a key and a certificate of etcd's own certificate authority: a voter for its server, towards the other
# voters and for requests of its own, another database host for requests alone. etcd reads them anew for every
# connection, but the authorities that it trusts only when it starts.
# shellcheck source=common.sh
source /opt/cluster/scripts/etcd/common.sh
# shellcheck source=../host/certificates.sh
source /opt/cluster/scripts/host/certificates.sh

AUTHORITY_KEY=/run/cluster/secrets/etcd-authority.key
NAMES="$CLUSTER_NAME $HOST_NAME $HOST_ADDRESS"

main() {
  local group=root
  if [[ -s $KEY ]] && was_valid "$CERTIFICATE_SEEN" "$NAMES"; then return; fi
  if is_voter; then group=etcd; fi
  install --directory --mode=0755 "$ETCD_CONFIGURATION"
  make_authorities etcd-authority-seed "$AUTHORITY_KEY" "$CLUSTER_NAME etcd authority" "$AUTHORITY"
  is_valid "$AUTHORITY" "$KEY" "$CERTIFICATE" ||
    issue "$AUTHORITY" "$AUTHORITY_KEY" "$KEY" "$CERTIFICATE" "$group"
  # It may have become a voter since.
  chown "root:$group" "$KEY"
  note_valid "$CERTIFICATE_SEEN" "$NAMES"
}

main
exit
