#!/usr/bin/env bash
# Prints this web server's status as JSON: its release, and which database hosts it reads from and writes to.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh

# routes LISTENER: prints the database hosts that are in use: the servers that are up, or else the first backup that is.
# https://docs.haproxy.org/3.2/management.html#9.1: fields 2, 18 (status), 20 and 21 (active, backup).
routes() {
  printf 'show stat %s 4 -1\n' "$1" | socat -t 5 - "UNIX-CONNECT:$HAPROXY_SOCKET" |
    awk -F, '$18 == "UP" { sub(/^[a-z]*:/, "", $2); if ($20 == 1) active = active $2 "\n"; else if (!backup) backup = $2 "\n" }
      END { printf "%s", active ? active : backup }'
}

# running_for: prints the seconds since the app was last started; 0 if it is not running.
running_for() {
  local state entered
  {
    read -r entered
    read -r state
  } < <(systemctl show --timestamp=unix --property ActiveState,ActiveEnterTimestamp app.service |
    sort | sed 's/.*=@\?//')
  if [[ $state == active && $entered =~ ^[0-9]+$ ]] && ((EPOCHSECONDS > entered)); then
    printf '%d' $((EPOCHSECONDS - entered))
  else
    printf 0
  fi
}

jq --null-input --compact-output \
  --arg run "$(run_of_app)" --arg seconds "$(running_for)" \
  --arg release "$(release_at "$CURRENT")" --arg before "$(release_at "$PREVIOUS")" \
  --arg app "$(systemctl is-active app.service || true)" \
  --argjson healthy "$(ask_health && echo true || echo false)" \
  --arg writes "$(routes writes)" --arg reads "$(routes reads)" \
  --arg nginx "$(dpkg-query --show --showformat='${Version}' nginx)" --arg node "$(node --version)" \
  'def names: split("\n") | map(select(. != ""));
   {release: $release, releaseBefore: $before, app: $app, healthy: $healthy,
    run: $run, runningSeconds: ($seconds | tonumber),
    writesTo: ($writes | names), readsFrom: ($reads | names), versions: {nginx: $nginx, node: $node}}'
