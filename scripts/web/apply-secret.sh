#!/usr/bin/env bash
# Makes this web server use a secret as the platform and the database hosts have it now: host/apply-secret.sh calls this.
#
#   apply-secret.sh NAME [--restart]   with --restart the app starts anew, and proves healthy
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh
# shellcheck source=secrets.sh
source /opt/cluster/scripts/web/secrets.sh

main() {
  local release start_timeout health_path health_host reason="" answer=""
  lock_releases
  case $1 in
    mysql-app-password | mysql-read-password)
      fetch_secret "$1"
      hand_over_passwords
      ;;
    certificate-authority-seed)
      fetch_authority || fail "no database host answers with the certificate authority"
      ;;
    *) fail "a web server has no use for the secret $1" ;;
  esac
  release=$(release_at "$CURRENT")
  # Without a release there is no app yet: it starts with what was fetched now.
  if [[ -z $release ]]; then return; fi
  if [[ ${2:-} != --restart ]]; then
    mark app "${SURROUNDINGS[@]}"
    return
  fi
  about "$release"
  start_release "$release" || fail "Nginx rejects its configuration"
  if ! proves_healthy "$start_timeout" 1; then
    app_lines >&2
    fail "the app is not healthy on $HOST_NAME after its restart: $reason"
  fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; exit; fi
