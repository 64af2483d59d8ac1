#!/usr/bin/env bash
# Nginx, the way to the database, and the app. What the app needs from other hosts is fetched by
# a unit that retries, so that a web server may boot before everything else.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

NGINX_DROP_IN=/etc/systemd/system/nginx.service.d/cluster.conf

haproxy -c -q -f /etc/haproxy/haproxy.cfg
nginx -t -q
keep_serving haproxy /etc/haproxy/haproxy.cfg
# Written before anything knew of Nginx, as a rule; where systemd had read that unit already, it reads it again.
has_read nginx.service "$NGINX_DROP_IN" || systemctl daemon-reload
keep_serving nginx /etc/nginx/nginx.conf
systemctl restart --no-block cluster-app-setup.service
