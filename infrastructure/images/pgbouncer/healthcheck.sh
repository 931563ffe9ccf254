#!/bin/sh
# Asks a question through the pool, so pooler and server both answer; the password is read from a private file.
PGSERVICEFILE=/run/credentials/pg_service.conf exec psql -XAtqw service=health -c 'SELECT 1' >/dev/null
