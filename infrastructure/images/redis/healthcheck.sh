#!/bin/sh
# Logs in from a private file on stdin, so the password is in no argument and no variable; the cluster must cover all slots.
set -- -p "${DEVSTACK_REDIS_LISTEN_PORT:-6379}"
if [ "${DEVSTACK_TLS:-false}" = required ]; then set -- --tls -h localhost -p 6390 --cacert "${VAULT_APPROLE_PATH:-/run/approle}/ca.pem"; fi
redis-cli "$@" < /run/credentials/healthcheck | grep -q '^cluster_state:ok'
