# shellcheck shell=bash
# The releases of the app on this web server: they lie beside each other, and one is current.

RELEASES=/srv/app/releases
CURRENT=/srv/app/current
PREVIOUS=/srv/app/previous
# What the app is started with besides its release.
SURROUNDINGS=(/etc/systemd/system/app.service /etc/cluster/app.env
  /etc/cluster/certificate-authority.pem)

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

# start_release SHA256: makes it current and starts it. A configuration that Nginx refuses is not
# loaded.
start_release() {
  local before
  before=$(release_at "$CURRENT")
  if [[ -n $before && $before != "$1" ]]; then point "$PREVIOUS" "$before"; fi
  point "$CURRENT" "$1"
  nginx -t -q && systemctl reload-or-restart nginx.service || return
  enable_at_boot app.service
  systemctl restart app.service
  mark app "${SURROUNDINGS[@]}"
}

# remove_old_releases: all but the current and the one before.
remove_old_releases() {
  local directory
  for directory in "$RELEASES"/*; do
    [[ $directory -ef $CURRENT || $directory -ef $PREVIOUS ]] || rm --recursive --force "$directory"
  done
}

# becomes_healthy SECONDS: whether the app serves within that time, asked as the load balancer does.
becomes_healthy() {
  local deadline=$((SECONDS + $1))
  until curl --silent --fail --output /dev/null --max-time 2 http://127.0.0.1/.cluster/health; do
    ((SECONDS < deadline)) || return
    sleep 0.2
  done
}

# One of these at a time: a boot and a release may meet.
lock_releases() {
  exec 7>/run/cluster-release.lock
  flock 7
}
