#!/usr/bin/env bash
# Nginx, the way to the database, and the app. What the app needs from other hosts is fetched by
# a unit that retries, so that a web server may boot before everything else.
# shellcheck source=../host/lib.sh
source /opt/cluster/host/lib.sh

haproxy -c -q -f /etc/haproxy/haproxy.cfg
nginx -t -q
systemctl enable --quiet haproxy.service nginx.service

for service in haproxy nginx; do
  configuration=/etc/$service/$service.cfg
  [[ -f $configuration ]] || configuration=/etc/$service/$service.conf
  if changed "$service" "$configuration" || ! systemctl --quiet is-active "$service.service"; then
    systemctl reload-or-restart "$service.service"
    mark "$service" "$configuration"
  fi
done

systemctl restart --no-block cluster-app-setup.service
