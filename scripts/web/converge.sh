#!/usr/bin/env bash
# Converges a web server: Nginx, HAProxy (the app's access to the database), and the app. What the app needs from other
# hosts is fetched by a unit that retries, so a web server may boot before all others.
# shellcheck source=../host/lib.sh
source /opt/cluster/scripts/host/lib.sh

NGINX_DROP_IN=/etc/systemd/system/nginx.service.d/cluster.conf

haproxy -c -q -f /etc/haproxy/haproxy.cfg
nginx -t -q
keep_serving haproxy /etc/haproxy/haproxy.cfg
# The drop-in was usually written before Nginx was installed. If systemd had already loaded the unit, it must reload.
has_read nginx.service "$NGINX_DROP_IN" || systemctl daemon-reload
keep_serving nginx /etc/nginx/nginx.conf
systemctl restart --no-block cluster-app-setup.service
