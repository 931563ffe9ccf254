import type {
  MariadbPlace,
  MongoPlace,
  PostgresPlace,
  RabbitmqPlace,
  RedisPlace,
} from '@devstack-core/database-backup';
import type { TlsOptions } from '@devstack-core/database-connections';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { readServiceSecret } from '@devstack-core/service-secrets';
import { requireEndpoint, type Stack } from '@devstack-core/stack-lifecycle';
import type { VaultClient } from '@devstack-core/vault-client';
import { StackBackupErrorCode } from './errors.ts';
import type { ForgejoPlace } from './forgejo-backup.ts';

/** Where the images mount the folder in memory for credentials. */
const scratch = '/run/credentials';

/** The image whose tar reads and writes volumes. */
const toolsImage = 'devstack/base:local';

/** The running services of a stack, and how to log in to each: read from Vault when it is asked for. */
export class StackPlaces {
  readonly docker: DockerEngine;
  readonly #stack: Stack;
  readonly #running: ReadonlyMap<string, string>;
  readonly #vault: Pick<VaultClient, 'kvRead'>;

  private constructor(
    stack: Stack,
    docker: DockerEngine,
    running: ReadonlyMap<string, string>,
    vault: Pick<VaultClient, 'kvRead'>,
  ) {
    this.#stack = stack;
    this.docker = docker;
    this.#running = running;
    this.#vault = vault;
  }

  static async open(stack: Stack, vault: Pick<VaultClient, 'kvRead'>): Promise<StackPlaces> {
    const docker = await stack.engine();
    const found = await docker.listContainers({ project: stack.project.id });
    const running = found.flatMap(({ id, service }) => (service === undefined ? [] : [[service, id] as const]));
    return new StackPlaces(stack, docker, new Map(running), vault);
  }

  isRunning(service: string): boolean {
    return this.#running.has(service);
  }

  /** The names of all that run. */
  services(): readonly string[] {
    return [...this.#running.keys()].toSorted();
  }

  /** The id of a running container. Throws SERVICE_NOT_RUNNING. */
  container(service: string): string {
    const id = this.#running.get(service);
    if (id !== undefined) return id;
    throw new DevstackError({
      code: StackBackupErrorCode.serviceNotRunning,
      message: `${service} does not run.`,
      hint: `Start it: devstack up ${service}`,
    });
  }

  /** PostgreSQL as its superuser. A dump of everything (large objects, rows behind policies, verifiers) takes no less. */
  async postgres(): Promise<PostgresPlace> {
    const container = this.container('postgres');
    const { username, password } = await this.#login('postgres');
    const owned = [...(await this.#databaseOf('mongodb')), ...(await this.#databaseOf('forgejo'))];
    return {
      docker: this.docker,
      container,
      username,
      password,
      scratch,
      host: '/run/postgresql',
      excludeDatabases: owned,
    };
  }

  async mysql(): Promise<MariadbPlace> {
    const secret = await this.secret('mysql');
    const password = required('mysql', secret, 'root_password');
    return { docker: this.docker, container: this.container('mysql'), username: 'root', password, scratch };
  }

  /** The server and the PostgreSQL below it, whose tables are held still meanwhile. */
  async mongodb(): Promise<MongoPlace> {
    const container = this.container('mongodb');
    const login = await this.#login('mongodb');
    const postgres = { ...(await this.postgres()), databases: await this.#databaseOf('mongodb'), excludeDatabases: [] };
    return { docker: this.docker, container, ...login, scratch, connect: this.#connect('mongodb'), postgres };
  }

  async rabbitmq(): Promise<RabbitmqPlace> {
    return { docker: this.docker, container: this.container('rabbitmq'), ...(await this.#login('rabbitmq')), scratch };
  }

  /** Git hosting, running or stopped. */
  async forgejo(): Promise<ForgejoPlace> {
    const { docker } = this;
    const found = await docker.listContainers({ project: this.#stack.project.id, all: true });
    const container = found.find(({ service }) => service === 'forgejo')?.id ?? this.container('forgejo');
    const secret = await this.secret('forgejo');
    const labels = { 'io.devstack.project': this.#stack.project.id };
    return {
      docker,
      project: this.#stack.project.id,
      container,
      application: this.#stack.model.service('forgejo').engine ?? 'gitea',
      postgres: { ...(await this.postgres()), excludeDatabases: [] },
      database: required('forgejo', secret, 'postgres_database').reveal(),
      volume: { docker, volume: this.#stack.model.volumeName('forgejo-data'), image: toolsImage, labels },
    };
  }

  /** Every node of the cluster that runs. */
  async redis(): Promise<RedisPlace> {
    const { username, password } = await this.#login('redis');
    const nodes = this.services()
      .filter((service) => service.startsWith('redis-'))
      .map((service) => ({ container: this.container(service), connect: this.#connect(service) }));
    if (nodes.length === 0) this.container('redis-1');
    return { docker: this.docker, username, password, nodes };
  }

  /** All fields of a role's secret. Throws SERVICE_NOT_RUNNING where there is none. */
  async secret(role: string): Promise<Readonly<Record<string, Secret>>> {
    return (await readServiceSecret(this.#vault, role)) ?? {};
  }

  #connect(service: string): { readonly host: string; readonly port: number; readonly tls?: TlsOptions } {
    const { host, port, tls } = requireEndpoint(this.#stack, service);
    return { host, port, ...(tls === false ? {} : { tls }) };
  }

  async #login(role: string): Promise<{ readonly username: string; readonly password: Secret }> {
    const secret = await this.secret(role);
    return { username: required(role, secret, 'username').reveal(), password: required(role, secret, 'password') };
  }

  // A database in PostgreSQL that belongs to another service is that one's to back up, where it runs.
  async #databaseOf(service: string): Promise<readonly string[]> {
    if (!this.#stack.model.services.some(({ name }) => name === service) || !this.isRunning(service)) return [];
    const name = (await this.secret(service))['postgres_database'];
    return name === undefined ? [] : [name.reveal()];
  }
}

function required(role: string, secret: Readonly<Record<string, Secret>>, field: string): Secret {
  const value = secret[field];
  if (value !== undefined) return value;
  throw new DevstackError({
    code: StackBackupErrorCode.noCredentials,
    message: `Vault has no ${field} of ${role}.`,
    hint: 'Run: devstack vault bootstrap --force',
  });
}
