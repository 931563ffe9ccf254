#!/bin/sh
# The server asks its database and its cache before it answers; any of them failing is a 5xx.
origin=http://127.0.0.1:3000
if [ "${DEVSTACK_TLS:-false}" != false ]; then
  origin=https://localhost:3443
  set -- --cacert "${VAULT_APPROLE_PATH:-/run/approle}/ca.pem"
fi
exec curl --silent --show-error --fail --max-time 4 --output /dev/null "$@" "$origin/api/healthz"
