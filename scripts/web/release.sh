# shellcheck shell=bash
# The releases of the app on this web server: they lie beside each other, and one is current.

RELEASES=/srv/app/releases
CURRENT=/srv/app/current
PREVIOUS=/srv/app/previous
# What the app is started with besides its release.
SURROUNDINGS=(/etc/systemd/system/app.service /etc/cluster/app.env
  /etc/cluster/certificate-authority.pem)
# Where the journal was when the current release was started.
JOURNAL_MARK=/run/cluster-release.journal

# release_at LINK: the name of the release it leads to, or nothing.
release_at() {
  local target
  if target=$(readlink "$1"); then printf '%s' "${target##*/}"; fi
}

point() {
  ln --symbolic --force --no-dereference "$RELEASES/$2" "$1.new"
  mv --force --no-target-directory "$1.new" "$1"
}

# install_release SHA256: fetches it, if it is not here.
install_release() {
  /opt/cluster/boot/fetch-archive.sh releases "$1" "$RELEASES/$1"
}

# about SHA256: sets what the release says of itself. One that was packed before releases did says nothing.
about() {
  start_timeout=30 health_path="its health path" health_host=load-balancer
  if [[ -f $RELEASES/$1/about.json ]]; then
    # shellcheck disable=SC2034 # for who called
    {
      read -r start_timeout
      read -r health_path
      read -r health_host
    } < <(jq --raw-output '.startTimeout, .healthPath, .healthHost' "$RELEASES/$1/about.json")
  fi
}

# start_release SHA256: makes it current and starts it. A configuration that Nginx refuses is not
# loaded. What systemd has to say of links it has not read (enable_at_boot) is not for who reads why it failed.
start_release() {
  local before
  # Whoever is interrupted leaves a release that is current, and another that runs.
  unmark app
  before=$(release_at "$CURRENT")
  if [[ -n $before && $before != "$1" ]]; then point "$PREVIOUS" "$before"; fi
  point "$CURRENT" "$1"
  nginx -t -q && systemctl --no-warn reload-or-restart nginx.service || return
  enable_at_boot app.service
  # In two steps, so that the last words of the one before are not taken for its own.
  systemctl --no-warn stop app.service
  journalctl --sync || true
  journalctl --quiet --lines 0 --show-cursor | sed --quiet 's/^-- cursor: //p' >"$JOURNAL_MARK"
  systemctl --no-warn start app.service
  mark app "${SURROUNDINGS[@]}"
}

# remove_old_releases: all but the current and the one before.
remove_old_releases() {
  local directory
  for directory in "$RELEASES"/*; do
    [[ $directory -ef $CURRENT || $directory -ef $PREVIOUS ]] || rm --recursive --force "$directory"
  done
}

# app_lines: the last lines that the app itself has printed since the current release was started.
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

# run_of_app: a name for the app's present run; each start, also by systemd itself, is another one.
run_of_app() {
  systemctl show --property InvocationID --value app.service
}

# ask_health: whether the app can serve, asked with the load balancer's own request and time limit; sets
# `answer` to the status, or to words where there was none.
ask_health() {
  local code=0
  answer=$(curl --silent --http1.1 --output /dev/null --max-time 1 --write-out '%{http_code}' \
    --header 'Host: load-balancer' --header 'Connection: close' --header 'User-Agent:' --header 'Accept:' \
    "http://127.0.0.1$WEB_HEALTH_PATH") || code=$?
  case $code:$answer in
    0:200) return ;;
    28:*) answer="nothing within 1 s" ;;
    *:000) answer="nothing" ;;
    *:502) answer="502, which is Nginx's: the app takes no connection" ;;
  esac
  return 1
}

in_seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# proves_healthy PATIENCE STEADY: whether the app answers within so many seconds, and then goes on to for
# STEADY seconds without being started anew. Where not, sets `reason`. It is lost where the load balancer
# would give it up: after two answers in a row that are not 200.
# shellcheck disable=SC2034 # the reason is for who called
proves_healthy() {
  local patience=$(($1 * 1000)) steady=$(($2 * 1000))
  local begun run first_run="" first=0 since="" misses=0 now asked
  asked="$health_path, asked as the load balancer does (Host: $health_host),"
  milliseconds
  begun=$now
  while true; do
    run=$(run_of_app)
    if [[ -n $first_run && $run != "$first_run" ]]; then
      milliseconds
      reason="$asked answered 200, and $(in_seconds $((now - first))) later the app had ended and was started anew; last answer: $answer"
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
        reason="$asked answered 200 at first, and no more $(in_seconds $((now - first))) later; last answer: $answer"
        return 1
      fi
    fi
    if [[ -z $first_run ]] && ((now - begun >= patience)); then
      reason="$asked did not answer 200 within $1 s of the start; last answer: $answer"
      return 1
    fi
    if [[ -n $first_run ]] && ((now - first >= 4 * steady + 1000)); then
      reason="$asked answers 200 now and then, but not for $2 s in a row within $(in_seconds $((now - first))); last answer: $answer"
      return 1
    fi
    sleep 0.25
  done
}

# One of these at a time: a boot and a release may meet.
lock_releases() {
  exec 7>/run/cluster-release.lock
  flock 7
}
