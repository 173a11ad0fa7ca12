#!/bin/sh
# Redis in a container: as user redis, in /data, open to the container's network.
set -eu
[ "${1:-}" = redis-server ] || exec "$@"
shift
chown redis:redis /data
cd /data
exec setpriv --reuid=redis --regid=redis --init-groups -- redis-server --protected-mode no --dir /data "$@"
