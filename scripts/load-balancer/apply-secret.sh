#!/usr/bin/env bash
# Makes this load balancer use a secret of visitors' TLS as the platform has it now: host/apply-secret.sh calls this.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=../host/certificates.sh
source /opt/cluster/scripts/host/certificates.sh
# shellcheck source=servers.sh
source /opt/cluster/scripts/load-balancer/servers.sh
# shellcheck source=visitors.sh
source /opt/cluster/scripts/load-balancer/visitors.sh
# shellcheck source=quic.sh
source /opt/cluster/scripts/load-balancer/quic.sh
# shellcheck source=acme.sh
source /opt/cluster/scripts/load-balancer/acme.sh

case $1 in
  "${GIVEN_CERTIFICATE:-none}")
    fetch_secret "$1"
    exec /opt/cluster/scripts/load-balancer/visitors-certificate.sh --renew
    ;;
  "${ACME_ACCOUNT_SEED:-none}")
    # Not while a certificate is requested with the former key.
    exec 7>/run/cluster/visitors-certificate.lock
    flock --timeout "$ACME_PATIENCE" 7 || fail "another script requests a certificate: try again when it has finished"
    fetch_secret "$1"
    # A certificate that is there stays valid: another account renews it.
    rm --force "$ACME_KEY"
    prepare_account
    ;;
  "${QUIC_DERIVED_FROM:-none}")
    fetch_secret "$1"
    write_quic_configuration
    # A reload ends no connection.
    keep_serving haproxy /etc/haproxy/haproxy.cfg "$QUIC_CONFIGURATION"
    ;;
  *) fail "this load balancer does not read the secret $1" ;;
esac
