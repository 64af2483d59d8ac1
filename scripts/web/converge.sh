#!/usr/bin/env bash
# Nginx, the way to the database, and the app. What the app needs from other hosts is fetched by
# a unit that retries, so that a web server may boot before everything else.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

haproxy -c -q -f /etc/haproxy/haproxy.cfg
nginx -t -q
keep_serving haproxy /etc/haproxy/haproxy.cfg
keep_serving nginx /etc/nginx/nginx.conf
systemctl restart --no-block cluster-app-setup.service
