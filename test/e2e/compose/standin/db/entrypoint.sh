#!/bin/sh
# PostgreSQL in a container: makes the cluster on the first start, then becomes the server.
#   POSTGRES_USER (postgres), POSTGRES_DB (the user's name), POSTGRES_PASSWORD,
#   POSTGRES_HOST_AUTH_METHOD (scram-sha-256, or trust), PGDATA (/var/lib/postgresql/data)
#   POSTGRES_FAST=1 gives up durability for speed
set -eu

PGDATA=${PGDATA:-/var/lib/postgresql/data}
owner=${POSTGRES_USER:-postgres}
method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
export PGDATA

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }

make_cluster() {
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo 'entrypoint: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust' >&2
    exit 1
  fi
  printf '%s' "${POSTGRES_PASSWORD:-}" >/tmp/password && chown postgres /tmp/password
  as_postgres initdb -D "$PGDATA" -U "$owner" --auth-local=trust --auth-host=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync \
    ${POSTGRES_PASSWORD:+--pwfile=/tmp/password} >/dev/null
  rm -f /tmp/password
  printf 'host all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
  make_database
}

# The first server answers on the socket only: nobody may connect before the cluster is whole.
make_database() {
  name=${POSTGRES_DB:-$owner}
  [ "$name" != postgres ] || return 0
  as_postgres pg_ctl -D "$PGDATA" -o '-c listen_addresses= -c fsync=off' -w start >/dev/null
  as_postgres createdb -U "$owner" --maintenance-db=postgres "$name"
  as_postgres pg_ctl -D "$PGDATA" -w stop >/dev/null
}

mkdir -p "$PGDATA" /run/postgresql
chown postgres:postgres "$PGDATA" /run/postgresql
chmod 700 "$PGDATA"
[ -s "$PGDATA/PG_VERSION" ] || make_cluster

[ "${1:-}" = postgres ] || exec "$@"
shift
if [ -n "${POSTGRES_FAST:-}" ]; then
  set -- -c fsync=off -c full_page_writes=off -c synchronous_commit=off "$@"
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups -- postgres -D "$PGDATA" -c 'listen_addresses=*' -c unix_socket_directories=/run/postgresql "$@"
