#!/bin/sh
# One message through a queue, over the management API, in one process: asking the Erlang tools would start a second virtual
# machine each time. The user may touch this queue alone; its password is new at each start and in a private file.
set -eu
api=http://127.0.0.1:15672/api
login=/run/credentials/health.curl
answer=$(
  curl --config "$login" --request PUT --header 'content-type: application/json' \
    --data '{"durable":true,"arguments":{"x-expires":120000,"x-max-length":1}}' "$api/queues/%2F/devstack.health" \
    --next --config "$login" --header 'content-type: application/json' \
    --data '{"routing_key":"devstack.health","payload":"ping","payload_encoding":"string","properties":{"delivery_mode":1}}' "$api/exchanges/%2F/amq.default/publish" \
    --next --config "$login" --header 'content-type: application/json' \
    --data '{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}' "$api/queues/%2F/devstack.health/get"
)
case $answer in
  *'"payload":"ping"'*) ;;
  *) echo "the message did not come back" >&2; exit 1 ;;
esac
