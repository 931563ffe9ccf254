#!/bin/sh
# Asks the server a question as its own user; the password is read from a private file, so it is in no argument and no variable.
PGSERVICEFILE=/run/credentials/pg_service.conf exec psql -XAtqw service=health -c 'SELECT 1' >/dev/null
