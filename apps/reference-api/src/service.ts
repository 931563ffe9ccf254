import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  connectAmqp,
  connectMongo,
  connectMysql,
  connectPostgres,
  connectRedis,
  type Address,
  type AmqpConnection,
  type MongoConnection,
  type RedisConnection,
  type SqlConnection,
} from '@devstack-core/database-connections';
import { issueLeaf } from '@devstack-core/certificates';
import { SecretRegistry } from '@devstack-core/redaction';
import { Backend } from './backends/backend.ts';
import { Health, type Checked } from './health.ts';
import { addRoutes, createServer } from './http/app.ts';
import { createMetrics, type Metrics } from './http/metrics.ts';
import { listenTls, type TlsListener } from './http/tls-listener.ts';
import { createLogOutput, type Logger } from './logger.ts';
import { redisNoteCache } from './notes/note-cache.ts';
import { mysqlNoteCounts, prepareNoteCounts } from './notes/note-counts.ts';
import { consumeNoteEvents, eventRecorder, OutboxRelay } from './notes/note-events.ts';
import { mongoNoteRevisions } from './notes/note-revisions.ts';
import { NoteService } from './notes/note-service.ts';
import { postgresNoteStore, prepareNoteStore } from './notes/note-store.ts';
import type { Settings } from './settings.ts';
import { CertificateKeeper } from './tls/certificate-keeper.ts';
import { readRoots, trust } from './tls/trusted-roots.ts';
import { VaultCredentials, type CredentialSource } from './vault/credential-source.ts';

/** A running service. */
export interface Service {
  /** Where it listens for HTTP. */
  readonly url: string;
  /** Where it listens for HTTPS, where it does. */
  readonly tlsUrl: string | undefined;
  /** Rejects when Vault refuses this service, which waiting does not mend. */
  readonly loggedIn: Promise<void>;
  /** Asks for another certificate now, where it has one. */
  renewCertificate(): void;
  /** Takes no new work, finishes what is in flight, and gives everything back. A second call does nothing. */
  drain(): Promise<void>;
}

/** What a service is started with. */
export interface ServiceOptions {
  readonly settings: Settings;
  readonly output: Writable;
  /** From the address that a Redis node announces to the one it is reached at; for tests outside of the networks. */
  readonly redisNatMap?: Readonly<Record<string, Address>>;
}

/** Starts to listen at once, so that `/health` can say what is missing; the backends are connected to once Vault has given the credentials. */
export async function startService({ settings, output, redisNatMap }: ServiceOptions): Promise<Service> {
  const registry = new SecretRegistry();
  const log = createLogOutput(registry, settings.logLevel, output);
  const app = createServer(log.options);
  const stopping = new AbortController();
  const vault = new VaultCredentials({
    settings: settings.vault,
    rootsFile: settings.rootsFile,
    registry,
    logger: app.log,
    signal: stopping.signal,
  });
  const backends = createBackends(settings, vault, redisNatMap);
  const all: readonly (Checked & AsyncDisposable)[] = [
    backends.database,
    backends.redis,
    backends.mysql,
    backends.mongodb,
    backends.rabbitmq,
  ];
  const metrics = createMetrics();

  const store = postgresNoteStore(backends.database);
  const revisions = mongoNoteRevisions(backends.mongodb);
  const counts = mysqlNoteCounts(backends.mysql);
  const record = eventRecorder({ revisions, counts, logger: app.log });
  backends.rabbitmq.onConnected((connection) => consumeNoteEvents(connection, record));
  const relay = new OutboxRelay({ store, rabbitmq: backends.rabbitmq, logger: app.log });
  const notes = new NoteService({
    store,
    cache: redisNoteCache(backends.redis),
    onEvent: () => {
      relay.wake();
    },
    logger: app.log,
  });
  const checkVault = (): void => {
    metrics.tokenExpiry((vault.expiresAt?.getTime() ?? 0) / 1000);
    vault.assertLoggedIn();
  };
  const isSecure = settings.tls.mode !== 'false';
  const tls = isSecure ? await listenTls(app, settings.tls.listen) : undefined;
  const keeper = tls && keepCertificate(settings, { vault, tls, logger: app.log, metrics });
  const checked = [...all, { name: 'vault', check: checkVault }, ...(keeper === undefined ? [] : [keeper])];
  const health = new Health({ checked, metrics, logger: app.log });

  let isDraining = false;
  await addRoutes(app, {
    notes: { notes, revisions, counts },
    status: { health, metrics, isDraining: () => isDraining, required: ['database'] },
  });
  const url = await app.listen(settings.listen);
  if (settings.vault.method === 'token')
    app.log.warn(
      'VAULT_USE_ROOT_TOKEN is on: this service uses a token that was made from the root token, not its AppRole',
    );
  const loggedIn = vault.start().then(() => {
    relay.start();
    void keeper?.start();
  });

  const drain = async (): Promise<void> => {
    isDraining = true;
    metrics.draining(true);
    app.log.info({ delayMs: settings.drainDelayMs }, 'draining: no new work');
    await delay(settings.drainDelayMs);
    keeper?.[Symbol.dispose]();
    await finishRequests(app, tls, settings.drainTimeoutMs);
    relay[Symbol.dispose]();
    await within(relay.idle(), 2000);
    await Promise.all(all.map((backend) => backend[Symbol.asyncDispose]()));
    stopping.abort();
    await vault[Symbol.asyncDispose]();
    app.log.info('drained');
    await log.end();
  };
  let drained: Promise<void> | undefined;
  return {
    url,
    tlsUrl: tls?.url,
    loggedIn,
    renewCertificate: () => keeper?.renew(),
    drain: () => (drained ??= drain()),
  };
}

function keepCertificate(
  { tls: own, vault: { role }, rootsFile }: Settings,
  parts: {
    readonly vault: VaultCredentials;
    readonly tls: TlsListener;
    readonly logger: Logger;
    readonly metrics: Metrics;
  },
): CertificateKeeper {
  return new CertificateKeeper({
    issue: () =>
      issueLeaf({
        client: parts.vault.client(),
        role,
        commonName: own.service,
        dnsNames: ['localhost'],
        caBundlePem: readRoots(rootsFile),
        ...(own.certificateTtlS === undefined ? {} : { ttlS: own.certificateTtlS }),
      }),
    roots: () => readRoots(rootsFile),
    serve: (leaf) => {
      parts.tls.serve(leaf);
    },
    logger: parts.logger,
    metrics: parts.metrics,
  });
}

interface Backends {
  readonly database: Backend<SqlConnection>;
  readonly redis: Backend<RedisConnection>;
  readonly mysql: Backend<SqlConnection>;
  readonly mongodb: Backend<MongoConnection>;
  readonly rabbitmq: Backend<AmqpConnection>;
}

function createBackends(
  settings: Settings,
  credentials: CredentialSource,
  natMap: Readonly<Record<string, Address>> | undefined,
): Backends {
  const limits = { connectTimeoutMs: 3000, commandTimeoutMs: 5000 };
  const [first, ...others] = settings.redis.nodes;
  const trusted = ({ tls }: { readonly tls: boolean }): ReturnType<typeof trust> => trust(tls, settings.rootsFile);
  return {
    database: new Backend({
      name: 'database',
      credentials,
      connections: 4,
      connect: async ({ postgres }) =>
        connectPostgres({
          ...settings.postgres,
          ...postgres,
          ...limits,
          tls: trusted(settings.postgres),
          applicationName: 'reference-api',
        }),
      prepare: prepareNoteStore,
      check: (connection) => connection.query('SELECT 1'),
    }),
    redis: new Backend({
      name: 'redis',
      credentials,
      connect: async ({ redis }) =>
        connectRedis({
          ...first,
          ...redis,
          ...limits,
          tls: trusted(settings.redis),
          cluster: settings.redis.cluster,
          nodes: others,
          ...(natMap === undefined ? {} : { natMap }),
        }),
      check: (connection) => connection.command('SET', 'reference-api:health', 'ok', 'EX', 60),
    }),
    mysql: new Backend({
      name: 'mysql',
      credentials,
      connections: 2,
      connect: async ({ mysql }) =>
        connectMysql({ ...settings.mysql, ...mysql, ...limits, tls: trusted(settings.mysql) }),
      prepare: prepareNoteCounts,
      check: (connection) => connection.query('SELECT 1'),
    }),
    mongodb: new Backend({
      name: 'mongodb',
      credentials,
      connect: async ({ mongodb }) =>
        connectMongo({ ...settings.mongodb, ...mongodb, ...limits, tls: trusted(settings.mongodb) }),
      check: (connection) => connection.db().command({ ping: 1 }),
    }),
    rabbitmq: new Backend({
      name: 'rabbitmq',
      credentials,
      connect: async ({ rabbitmq }) =>
        connectAmqp({ ...settings.rabbitmq, ...rabbitmq, ...limits, tls: trusted(settings.rabbitmq) }),
      // The broker gives this user what is named after it; two processes need two names.
      check: (connection) => connection.roundTrip(`reference-api.health.${randomUUID()}`, 2000),
    }),
  };
}

async function finishRequests(
  app: ReturnType<typeof createServer>,
  tls: TlsListener | undefined,
  timeoutMs: number,
): Promise<void> {
  const closed = Promise.all([app.close(), tls?.close()]);
  if (await within(closed, timeoutMs)) return;
  app.log.warn({ timeoutMs }, 'requests did not end in time and are cut off');
  app.server.closeAllConnections();
  tls?.closeAllConnections();
  await closed;
}

async function within(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(timeoutMs, false, { signal: timer.signal }).catch(() => false);
  const isDone = await Promise.race([work.then(() => true), late]);
  timer.abort();
  return isDone;
}
