import { lastLine } from '../engine-failure.ts';
import type { RawMessage } from './amqp-wire.ts';
import type { RabbitmqPlace } from './rabbitmq-place.ts';

/** More than so many messages of a quorum queue are not read: the broker walks to each of them from the start. */
export const peekLimit = 10_000;

/**
 * The messages of a quorum queue, by the broker's own way to look at one without delivering it. To get and return them, as with a classic
 * queue, would put them in another order, count as a failed delivery of each, and drop them after twenty backups (tried on RabbitMQ 4.0).
 * Needs `rabbitmqctl` in the container. Throws an `Error`, also for a version whose inner functions are others.
 */
export async function peekQuorum(
  place: RabbitmqPlace,
  vhost: string,
  queue: string,
  signal: AbortSignal | undefined,
): Promise<readonly RawMessage[]> {
  const { exitCode, stdout, stderr } = await place.docker.exec(
    place.container,
    ['rabbitmqctl', 'eval', expression(vhost, queue)],
    signal === undefined ? {} : { signal },
  );
  const text = /^<<"?([A-Za-z0-9+/=,;]*)"?>>\s*$/.exec(stdout.trim())?.[1];
  if (exitCode !== 0 || text === undefined)
    throw new Error(`rabbitmqctl could not look into the queue (${lastLine(stderr === '' ? stdout : stderr)})`);
  return text
    .split(';')
    .filter((line) => line !== '')
    .map((line) => {
      const [exchange, routingKey, properties, body] = line.split(',').map((part) => Buffer.from(part, 'base64'));
      if (exchange === undefined || routingKey === undefined || properties === undefined || body === undefined)
        throw new Error('rabbitmqctl printed something else than messages');
      const key = routingKey.toString('utf8');
      const isText = Buffer.from(key, 'utf8').equals(routingKey);
      return { exchange: exchange.toString('utf8'), routingKey: isText ? key : undefined, properties, body };
    });
}

// Erlang. Names are lists of bytes, so that no character of them is code.
function expression(vhost: string, queue: string): string {
  return `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(${binary(vhost)}, queue, ${binary(queue)})),
Leader = amqqueue:get_pid(Q),
Read = fun Read(At, List) ->
  case ra:aux_command(Leader, {peek, At}) of
    {ok, {_, Message}} ->
      Legacy = mc:protocol_state(mc:prepare(read, mc:convert(mc_amqpl, Message))),
      {content, _, _, Properties, _, Body} = rabbit_binary_generator:ensure_content_encoded(Legacy, rabbit_framing_amqp_0_9_1),
      Parts = [mc:exchange(Message), hd(mc:routing_keys(Message)), Properties, iolist_to_binary(lists:reverse(Body))],
      Read(At + 1, [[lists:join($,, [base64:encode(Part) || Part <- Parts]), $;] | List]);
    {error, _} -> lists:reverse(List)
  end
end,
iolist_to_binary(Read(1, [])).`;
}

function binary(text: string): string {
  return `<<${[...Buffer.from(text, 'utf8')].join(',')}>>`;
}
