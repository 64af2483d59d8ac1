# shellcheck shell=bash
# The releases of the app on this web server: each has a directory, and one is current.

RELEASES=/srv/app/releases
CURRENT=/srv/app/current
PREVIOUS=/srv/app/previous
# Files that the app's process depends on, apart from its release.
SURROUNDINGS=(/etc/systemd/system/app.service /etc/systemd/system/app.service.d/sandbox.conf
  /etc/cluster/app.env /etc/cluster/certificate-authority.pem)
# The journal's cursor from when the current release was started.
JOURNAL_MARK=/run/cluster-release.journal

# release_at LINK: prints the name of the release that the link points to, or nothing.
release_at() {
  local target
  if target=$(readlink "$1"); then printf '%s' "${target##*/}"; fi
}

point() {
  ln --symbolic --force --no-dereference "$RELEASES/$2" "$1.new"
  mv --force --no-target-directory "$1.new" "$1"
}

# install_release SHA256: fetches the release unless it is installed.
install_release() {
  /opt/cluster/boot/fetch-archive.sh releases "$1" "$RELEASES/$1"
}

# about SHA256: sets variables from the release's about.json. Releases packed by older versions have none.
about() {
  start_timeout=30 health_path="its health path" health_host=load-balancer
  if [[ -f $RELEASES/$1/about.json ]]; then
    # shellcheck disable=SC2034 # used by callers
    {
      read -r start_timeout
      read -r health_path
      read -r health_host
    } < <(jq --raw-output '.startTimeout, .healthPath, .healthHost' "$RELEASES/$1/about.json")
  fi
}

# start_release SHA256: makes the release current and starts it. A configuration that Nginx rejects is not loaded.
# systemd's warning about unread units is suppressed: it would distract from a real error.
start_release() {
  local before
  # If this is interrupted, the current release may not be the running one.
  unmark app
  before=$(release_at "$CURRENT")
  if [[ -n $before && $before != "$1" ]]; then point "$PREVIOUS" "$before"; fi
  point "$CURRENT" "$1"
  nginx -t -q && systemctl --no-warn reload-or-restart nginx.service || return
  # In two steps, so that the last output of the previous release is not attributed to this one.
  systemctl --no-warn stop app.service
  journalctl --sync || true
  journalctl --quiet --lines 0 --show-cursor | sed --quiet 's/^-- cursor: //p' >"$JOURNAL_MARK"
  systemctl --no-warn start app.service
  mark app "${SURROUNDINGS[@]}"
}

# remove_old_releases: removes all but the current and the previous release.
remove_old_releases() {
  local directory
  for directory in "$RELEASES"/*; do
    [[ $directory -ef $CURRENT || $directory -ef $PREVIOUS ]] || rm --recursive --force "$directory"
  done
}

# app_lines: prints the last lines of the app's own output since the current release was started.
app_lines() {
  local from=(--boot) lines
  if [[ -s $JOURNAL_MARK ]]; then from=(--after-cursor "$(<"$JOURNAL_MARK")"); fi
  journalctl --sync || true
  lines=$(journalctl --quiet --no-pager --output cat "${from[@]}" \
    _SYSTEMD_UNIT=app.service _TRANSPORT=stdout | tail --lines 10 | cut --characters 1-500)
  if [[ -z $lines ]]; then
    printf 'the app has printed nothing\n'
  else
    printf 'the last lines of the app:\n  %s\n' "${lines//$'\n'/$'\n'  }"
  fi
}

# run_of_app: prints an identifier of the app's current run; each start, including restarts by systemd, has a new one.
run_of_app() {
  systemctl show --property InvocationID --value app.service
}

# ask_health: checks whether the app can serve, with the load balancer's own request and timeout. Sets `answer` to the
# status, or to a description if there was none.
ask_health() {
  local code=0
  answer=$(curl --silent --http1.1 --output /dev/null --max-time 1 --write-out '%{http_code}' \
    --header 'Host: load-balancer' --header 'Connection: close' --header 'User-Agent:' --header 'Accept:' \
    "http://127.0.0.1$WEB_HEALTH_PATH") || code=$?
  case $code:$answer in
    0:200) return ;;
    28:*) answer="none within 1 s" ;;
    *:000) answer="none" ;;
    *:502) answer="502 from Nginx: the app accepts no connections" ;;
  esac
  return 1
}

in_seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# proves_healthy PATIENCE STEADY: whether the app becomes healthy within PATIENCE seconds, and then stays healthy for
# STEADY seconds without a restart. Otherwise sets `reason`. As for the load balancer, two failed checks in a row mean
# unhealthy.
# shellcheck disable=SC2034 # reason is used by callers
proves_healthy() {
  local patience=$(($1 * 1000)) steady=$(($2 * 1000))
  local begun run first_run="" first=0 since="" misses=0 now asked
  asked="$health_path, requested like the load balancer's health check (Host: $health_host),"
  milliseconds
  begun=$now
  while true; do
    run=$(run_of_app)
    if [[ -n $first_run && $run != "$first_run" ]]; then
      milliseconds
      reason="$asked returned 200, but the app exited within $(in_seconds $((now - first))) and was restarted; last answer: $answer"
      return 1
    fi
    if ask_health; then
      milliseconds
      misses=0
      if [[ -z $first_run ]]; then first_run=$run first=$now; fi
      if [[ -z $since ]]; then since=$now; fi
      if ((now - since >= steady)) && [[ $(run_of_app) == "$first_run" ]]; then return; fi
    else
      milliseconds
      since=""
      if [[ -n $first_run ]] && ((++misses >= 2)); then
        reason="$asked returned 200 at first, but no longer after $(in_seconds $((now - first))); last answer: $answer"
        return 1
      fi
    fi
    if [[ -z $first_run ]] && ((now - begun >= patience)); then
      reason="$asked did not return 200 within $1 s of the start; last answer: $answer"
      return 1
    fi
    if [[ -n $first_run ]] && ((now - first >= 4 * steady + 1000)); then
      reason="$asked returned 200 intermittently, but never for $2 s in a row within $(in_seconds $((now - first))); last answer: $answer"
      return 1
    fi
    sleep 0.25
  done
}

# Only one at a time: a boot and a release may coincide.
lock_releases() {
  exec 7>/run/cluster-release.lock
  flock 7
}
