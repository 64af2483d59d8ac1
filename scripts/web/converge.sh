#!/usr/bin/env bash
# Converges a web server: Nginx, HAProxy (the app's access to the database), and the app. What the app needs from other
# hosts is fetched by a unit that retries, so a web server may boot before all others.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

enable_units
haproxy -c -q -f /etc/haproxy/haproxy.cfg
nginx -t -q
keep_serving haproxy /etc/haproxy/haproxy.cfg
keep_serving nginx /etc/nginx/nginx.conf
systemctl restart --no-block cluster-app-setup.service
