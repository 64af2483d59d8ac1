#!/usr/bin/env bash
# Makes a port of this machine's loopback lead to a host.
#
# Facts: DWI_PROJECT, DWI_HOST, DWI_LOCAL_PORT, DWI_PORT.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"
begin_work publication
bash "$HERE/engine.sh" start

listen=tcp:127.0.0.1:$DWI_LOCAL_PORT
connect=tcp:127.0.0.1:$DWI_PORT
if exists incus config device get "$DWI_HOST" publication listen; then
  incus config device set "$DWI_HOST" publication listen="$listen" connect="$connect"
else
  incus config device add --quiet "$DWI_HOST" publication proxy listen="$listen" connect="$connect"
fi
end_work
say "$DWI_HOST: reached at 127.0.0.1:$DWI_LOCAL_PORT"
