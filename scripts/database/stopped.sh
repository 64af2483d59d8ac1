#!/usr/bin/env bash
# Runs after mysqld has ended, and counts its crashes: prepare.sh then checks the data before the next start. A
# requested stop, a kill from outside, and the restart at the end of a clone (exit code 16) do not count.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html, $EXIT_CODE
# shellcheck source=common.sh
source /opt/cluster/scripts/database/common.sh

case ${EXIT_CODE:-}:${EXIT_STATUS:-} in
  exited:0 | exited:16 | killed:TERM | killed:KILL | :) ;;
  *)
    count=0
    if [[ -r $CRASHED ]]; then read -r count <"$CRASHED" || true; fi
    printf '%s\n' "$((count + 1))" >"$CRASHED"
    ;;
esac
