import { dumpFailed, engineMismatch, restoreFailed } from '../engine-failure.ts';
import type { BackupPart, EngineAdapter, EngineIdentity, PartDescription } from '../types.ts';
import { definitionsFingerprint, fieldOf, normalizeDefinitions, type Definitions } from './definitions.ts';
import { impersonating } from './impersonator.ts';
import { ManagementApi } from './management-api.ts';
import { lines } from './message-lines.ts';
import { ownUsers, type RabbitmqPlace } from './rabbitmq-place.ts';
import { rabbitmqProblems } from './rabbitmq-check.ts';
import { throwawayRabbitmq } from './rabbitmq-throwaway.ts';
import { readMessages } from './read-messages.ts';
import { restoreDefinitions } from './restore-definitions.ts';
import { restoreMessages } from './restore-messages.ts';
import { Spool } from './spool.ts';

const definitionsKind = 'rabbitmq-definitions';
const messagesKind = 'rabbitmq-messages';

/**
 * RabbitMQ: its definitions (users with password hashes, virtual hosts, permissions, policies, exchanges, queues, bindings), and the
 * messages of its durable queues, classic and quorum, with all their properties. Messages of streams, of queues that are not durable and of
 * very long quorum queues are left out and named in the part's metadata. Exact where nobody published or consumed while they were read.
 */
export const rabbitmqAdapter: EngineAdapter<RabbitmqPlace> = {
  engines: ['rabbitmq'],
  kinds: [definitionsKind, messagesKind],
  async *open(place, options = {}) {
    const { signal } = options;
    const snapshotAt = (options.now ?? (() => new Date()))().toISOString();
    await using stack = new AsyncDisposableStack();
    const api = stack.use(await ManagementApi.open(place, signal));
    const spool = stack.use(await Spool.create());
    const { engine, definitions, found } = await (async () => {
      try {
        const read = normalizeDefinitions(await api.ask('GET', ['definitions']));
        await spool.write(lines.head());
        const messages = await readMessages({
          place,
          api,
          definitions: read,
          snapshotAt,
          signal,
          onMessage: (message) => spool.write(lines.message(message)),
        });
        await spool.write(lines.end(messages.messages));
        return { engine: await identityOf(place, api), definitions: read, found: messages };
      } catch (error) {
        throw dumpFailed('RabbitMQ could not be backed up', error);
      }
    })();
    yield definitionsPart(definitions, { engine, snapshotAt });
    yield {
      ...about(messagesKind, 'messages', { engine, snapshotAt }),
      extension: 'jsonl',
      consistency: found.disturbances.length === 0 ? 'exact' : 'approximate',
      ...(found.disturbances.length === 0 ? {} : { consistencyReason: found.disturbances.slice(0, 5).join('; ') }),
      metadata: { messages: found.messages, leftOut: found.leftOut, userIds: found.hasUserIds },
      restoreHint: [
        'Restore the definitions first. Each line is one message: queue, exchange and routing key, body and AMQP properties in base64.',
        'devstack backup restore publishes them again, in order.',
      ],
      fingerprint: () => Promise.resolve(found.fingerprint),
      content: () => spool.read(),
    };
  },
  async restore(place, part, content, options = {}) {
    if (part.engine.name !== 'rabbitmq') throw engineMismatch(part, 'RabbitMQ');
    const { signal, replace = false } = options;
    try {
      await using api = await ManagementApi.open(place, signal);
      if (part.kind === definitionsKind) {
        await restoreDefinitions(api, await readDefinitions(content), { username: place.username, replace });
        await allowOwnUser(place, api);
        return;
      }
      await using _allowed = part.metadata?.['userIds'] === true ? await impersonating(api, place.username) : undefined;
      await restoreMessages(content, { place, api, replace, signal });
    } catch (error) {
      throw restoreFailed(`"${part.name}" could not be restored into RabbitMQ`, error);
    }
  },
  async fingerprint(place, part, { signal } = {}) {
    try {
      await using api = await ManagementApi.open(place, signal);
      const definitions = normalizeDefinitions(await api.ask('GET', ['definitions']));
      if (part.kind === definitionsKind) return definitionsFingerprint(definitions);
      const left = part.metadata?.['leftOut'];
      const leftOut = Array.isArray(left) ? (left as string[]) : [];
      const { fingerprint } = await readMessages({
        place,
        api,
        definitions,
        snapshotAt: part.snapshotAt,
        leftOut,
        signal,
      });
      return fingerprint;
    } catch (error) {
      throw dumpFailed(`RabbitMQ could not be read for "${part.name}"`, error);
    }
  },
  async check(place, _part, { signal } = {}) {
    await using api = await ManagementApi.open(place, signal);
    return await rabbitmqProblems(api);
  },
  throwaway: throwawayRabbitmq,
};

interface Snapshot {
  readonly engine: EngineIdentity;
  readonly snapshotAt: string;
}

function about(
  kind: string,
  name: string,
  { engine, snapshotAt }: Snapshot,
): Pick<PartDescription, 'kind' | 'name' | 'engine' | 'snapshotAt'> {
  return { kind, name, engine, snapshotAt };
}

function definitionsPart(definitions: Definitions, snapshot: Snapshot): BackupPart {
  return {
    ...about(definitionsKind, 'definitions', snapshot),
    extension: 'json',
    consistency: 'exact',
    isSecret: true,
    restoreHint: ['rabbitmqctl import_definitions definitions.json'],
    fingerprint: () => Promise.resolve(definitionsFingerprint(definitions)),
    async *content() {
      yield await Promise.resolve(Buffer.from(`${JSON.stringify(definitions, null, 2)}\n`));
    },
  };
}

async function readDefinitions(content: AsyncIterable<Uint8Array>): Promise<Definitions> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  // Half of it is no JSON.
  return normalizeDefinitions(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}

async function identityOf({ docker, container }: RabbitmqPlace, api: ManagementApi): Promise<EngineIdentity> {
  const { imageName, imageId } = await docker.inspectContainer(container);
  return { name: 'rabbitmq', version: await api.version(), image: { name: imageName, id: imageId } };
}

// A throwaway broker's user is in no definitions, and has no rights in virtual hosts that came with them.
async function allowOwnUser({ username }: RabbitmqPlace, api: ManagementApi): Promise<void> {
  if (!username.startsWith(ownUsers)) return;
  const vhosts = (await api.ask('GET', ['vhosts'])) as Definitions[string];
  for (const one of vhosts)
    await api.ask('PUT', ['permissions', fieldOf(one, 'name'), username], { configure: '.*', write: '.*', read: '.*' });
}
