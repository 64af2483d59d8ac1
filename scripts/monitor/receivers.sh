#!/usr/bin/env bash
# Puts what operators gave for receivers of alerts where Alertmanager reads it, each time that it sends one. What has not been
# given yet is an address that nobody answers, or a password that is refused, and alerts fail to be delivered.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

# given SECRET: prints what an operator gave; fails if nothing was: the platform then has a text of its own making.
given() {
  local text
  text=$(secret "$1" | base64 --decode 2>/dev/null) || return
  [[ $text == given:* ]] && printf '%s' "${text#given:}"
}

install --directory --owner=root --group="$MONITOR_USER" --mode=0750 "$MONITOR_RUN/receivers"
for name in $MONITOR_SECRETS; do
  text=$(given "$name") || {
    log "nothing was given for $name yet: set-receiver"
    text=""
    if [[ $name != *password ]]; then text=http://127.0.0.1:9/not-given; fi
  }
  (
    umask 0027
    printf '%s' "$text" >"$MONITOR_RUN/receivers/$name.new"
  )
  chgrp "$MONITOR_USER" "$MONITOR_RUN/receivers/$name.new"
  mv "$MONITOR_RUN/receivers/$name.new" "$MONITOR_RUN/receivers/$name"
done
