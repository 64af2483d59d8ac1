# shellcheck shell=bash
# Publishes a cluster on this machine by one of its containers, and moves that from one container to another one. Sourced
# by host.sh and publish.sh.
#
# Facts: DWI_HOST, the container that is to publish the cluster; DWI_PUBLISHED, the ports of this machine's 127.0.0.1, each
# with the port of the container that it is forwarded to: "8080:80 8443:443".

# Tenths of a second that connections of visitors have to end.
DRAINING=30

DWI_PUBLISHED=${DWI_PUBLISHED:-}
HOLDING_BACK="inet dwi-${DWI_PUBLISHED%%:*}"

# The published ports of this machine.
LOCAL_PORTS=()
for published in $DWI_PUBLISHED; do LOCAL_PORTS+=("${published%%:*}"); done

# joined SEPARATOR: prints them.
joined() {
  local port list=""
  for port in "${LOCAL_PORTS[@]}"; do list+="${list:+$1}$port"; done
  printf '%s' "$list"
}

# The engine has a device for each port, so that a port comes and goes without a connection through another one being
# closed.
#
# devices: prints each device as it is declared, in a line: its name, where it listens, and where it connects to.
devices() {
  local published port
  for published in $DWI_PUBLISHED; do
    port=${published#*:}
    if [[ $port == 80 ]]; then printf 'publication'; else printf 'publication-%s' "$port"; fi
    printf ' tcp:127.0.0.1:%s tcp:127.0.0.1:%s\n' "${published%%:*}" "$port"
  done
}

# published_by CONTAINER: prints the names of its devices.
published_by() {
  incus config device list "$1" 2>/dev/null | grep '^publication' || true
}

# listens_at CONTAINER: prints where they listen.
listens_at() {
  local device
  for device in $(published_by "$1"); do incus config device get "$1" "$device" listen; done
}

# A visitor whose attempt to connect gets no answer repeats it after a second; one that is refused does not.
hold_back_visitors() {
  exists command -v nft || return 0
  nft --file - <<RULES
table $HOLDING_BACK
delete table $HOLDING_BACK
table $HOLDING_BACK {
  chain input {
    type filter hook input priority filter - 1; policy accept;
    iif "lo" ip daddr 127.0.0.1 tcp dport { $(joined ", ") } tcp flags & (syn | ack) == syn drop
  }
}
RULES
}

let_visitors_in() {
  exists command -v nft || return 0
  nft --file - <<RULES
table $HOLDING_BACK
delete table $HOLDING_BACK
RULES
}

wait_for_visitors() {
  local tenth
  for ((tenth = 0; tenth < DRAINING; tenth++)); do
    [[ -n $(ss --no-header --tcp --numeric state established "( sport = :$(joined " or sport = :") )") ]] || return 0
    sleep 0.1
  done
}

# Makes the devices of DWI_HOST those that are declared. Where nothing has changed, nothing is touched.
set_devices() {
  local name listen connect declared=" "
  # The engine's commands would read from the list.
  while read -r -u 9 name listen connect; do
    declared+="$name "
    if [[ $(incus config device get "$DWI_HOST" "$name" listen 2>/dev/null) == "$listen" ]]; then continue; fi
    if exists incus config device get "$DWI_HOST" "$name" listen; then
      incus config device set "$DWI_HOST" "$name" listen="$listen"
    else
      incus config device add --quiet "$DWI_HOST" "$name" proxy listen="$listen" connect="$connect"
    fi
  done 9< <(devices)
  for name in $(published_by "$DWI_HOST"); do
    [[ $declared == *" $name "* ]] || incus config device remove --quiet "$DWI_HOST" "$name"
  done
}

# publish FROM...: publishes the cluster by DWI_HOST, and no longer by these containers. Visitors are held back while the
# publication moves.
publish() {
  local from device listen known taken=""
  known=$(for from in "$DWI_HOST" "$@"; do listens_at "$from"; done)
  # Before visitors are held back: until then a port that is in use answers at once.
  while read -r _ listen _; do
    grep --quiet --fixed-strings --line-regexp "$listen" <<<"$known" || check_port "${listen##*:}"
  done < <(devices)
  for from in "$@"; do taken+=$(published_by "$from"); done
  if [[ -z $taken ]]; then
    set_devices
    return
  fi
  trap let_visitors_in EXIT
  hold_back_visitors
  wait_for_visitors
  for from in "$@"; do
    for device in $(published_by "$from"); do incus config device remove --quiet "$from" "$device"; done
  done
  set_devices
  let_visitors_in
  trap - EXIT
}
