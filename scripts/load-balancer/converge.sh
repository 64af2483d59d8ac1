#!/usr/bin/env bash
# HAProxy with its declared configuration. A configuration it would refuse is never loaded: the
# process that serves goes on with the one it has.
# shellcheck source=../host/lib.sh
source /opt/cluster/host/lib.sh

haproxy -c -q -f /etc/haproxy/haproxy.cfg
keep_serving haproxy /etc/haproxy/haproxy.cfg
