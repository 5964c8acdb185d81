#!/bin/bash
# What the official image's entry point does, as far as the chart uses it: POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD(_FILE),
# POSTGRES_INITDB_ARGS, PGDATA, /docker-entrypoint-initdb.d/*.{sh,sql}. Never root.
set -euo pipefail
case "${1:-postgres}" in
  -*) set -- postgres "$@" ;;
  postgres | '') ;;
  *) exec "$@" ;;
esac

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
# An initialization that was cut short is repeated from the start.
unfinished=$PGDATA.initializing
mkdir -p "$PGDATA"
chmod 700 "$PGDATA" 2>/dev/null || true
if [ ! -s "$PGDATA/PG_VERSION" ] || [ -e "$unfinished" ]; then
  touch "$unfinished"
  find "$PGDATA" -mindepth 1 -delete
  password=${POSTGRES_PASSWORD:-}
  [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(<"$POSTGRES_PASSWORD_FILE")
  if [ -z "$password" ]; then
    echo 'Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE to a password for the superuser.' >&2
    exit 78
  fi
  # shellcheck disable=SC2086
  initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --locale=C.UTF-8 --auth-local=trust \
    --auth-host=scram-sha-256 --no-sync --no-instructions ${POSTGRES_INITDB_ARGS:-}
  printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  # Reachable by nobody else while it is being set up.
  pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -c unix_socket_directories=/tmp -c fsync=off" -w start >/dev/null
  export PGHOST=/tmp POSTGRES_USER="$user" POSTGRES_DB="$database"
  if [ "$database" != postgres ]; then
    psql -X -v ON_ERROR_STOP=1 -U "$user" -d postgres -v name="$database" <<<'CREATE DATABASE :"name";'
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) bash "$file" ;;
      *.sql) psql -X -v ON_ERROR_STOP=1 -U "$user" -d "$database" -f "$file" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
  unset PGHOST
  sync
  rm "$unfinished"
fi
exec "$@" -c "listen_addresses=*" -c unix_socket_directories=/var/run/postgresql
