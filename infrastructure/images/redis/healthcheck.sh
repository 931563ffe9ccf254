#!/bin/sh
# Logs in from a private file on stdin, so the password is in no argument and no variable; the cluster must cover all slots.
redis-cli -p "${DEVSTACK_REDIS_LISTEN_PORT:-6379}" < /run/credentials/healthcheck | grep -q '^cluster_state:ok'
