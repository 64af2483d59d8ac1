#!/usr/bin/env bash
# Prints the last lines of the app's output.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh
# shellcheck source=release.sh
source /opt/cluster/scripts/web/release.sh

app_lines
