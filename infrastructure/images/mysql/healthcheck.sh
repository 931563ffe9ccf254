#!/bin/sh
# Asks the server a question over TCP, as a user that may do nothing else; its password is new at each start and in a private file.
exec mariadb --defaults-file=/run/credentials/health.cnf --batch --silent --execute 'SELECT 1' >/dev/null
