#!/bin/sh
# The server asks its database and its cache before it answers; any of them failing is a 5xx.
exec curl --silent --show-error --fail --max-time 4 --output /dev/null http://127.0.0.1:3000/api/healthz
