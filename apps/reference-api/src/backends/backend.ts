import { DevstackError, isDevstackError } from '@devstack-core/errors';
import type { Connection } from '@devstack-core/database-connections';
import { ReferenceApiErrorCode } from '../errors.ts';
import type { CredentialSource } from '../vault/credential-source.ts';
import type { Credentials } from '../vault/credentials.ts';

/** How a backend is connected to. */
export interface BackendOptions<C extends Connection> {
  /** As `/health` calls it. */
  readonly name: string;
  readonly credentials: CredentialSource;
  readonly connect: (credentials: Credentials) => Promise<C>;
  /** Proves that it serves. */
  readonly check: (connection: C) => Promise<unknown>;
  /** Makes what the service needs there (tables, queues); run once per process, on the first connection. */
  readonly prepare?: (connection: C) => Promise<unknown>;
  /** How many connections at most; 1 unless given. Each carries several commands at once, or queues them. */
  readonly connections?: number;
}

/** Connections to one server: made when they are needed, and again when they were lost. */
export class Backend<C extends Connection> implements AsyncDisposable {
  readonly name: string;
  readonly #options: BackendOptions<C>;
  readonly #slots: Slot<C>[];
  #preparation: Promise<unknown> | undefined;
  #greet: ((connection: C) => Promise<unknown>) | undefined;

  constructor(options: BackendOptions<C>) {
    this.name = options.name;
    this.#options = options;
    this.#slots = Array.from({ length: options.connections ?? 1 }, () => ({ pending: 0, connection: undefined }));
  }

  /** Sets what is run on every new connection. */
  onConnected(greet: (connection: C) => Promise<unknown>): void {
    this.#greet = greet;
  }

  /**
   * Runs work on a connection. Work that may be repeated is run once more when the connection turns out to be lost, as all are after the server was
   * restarted. Throws `BACKEND_UNAVAILABLE` where there is no connection to be had.
   */
  async use<T>(
    work: (connection: C) => Promise<T>,
    { repeatable = true }: { readonly repeatable?: boolean } = {},
  ): Promise<T> {
    const slot = this.#leastBusySlot();
    slot.pending += 1;
    try {
      const isOld = slot.connection !== undefined;
      try {
        return await this.#runOn(slot, work);
      } catch (error) {
        if (!isOld || !repeatable || !isLost(error)) throw error;
        return await this.#runOn(slot, work);
      }
    } catch (error) {
      throw isLost(error) ? unavailable(this.name, error) : error;
    } finally {
      slot.pending -= 1;
    }
  }

  /** Throws where the backend does not serve. */
  async check(): Promise<void> {
    await this.use(this.#options.check);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connections = this.#slots.splice(0).map(({ connection }) => connection);
    await Promise.all(connections.map(async (connection) => (await connection?.catch(() => undefined))?.close()));
  }

  #leastBusySlot(): Slot<C> {
    const [first, ...others] = this.#slots;
    if (first === undefined) throw unavailable(this.name, undefined);
    return others.reduce((least, other) => (other.pending < least.pending ? other : least), first);
  }

  async #runOn<T>(slot: Slot<C>, work: (connection: C) => Promise<T>): Promise<T> {
    const pending = (slot.connection ??= this.#connect());
    try {
      const connection = await pending;
      return await work(connection);
    } catch (error) {
      // Others may wait for the same connection: the first who sees that it is gone lets go of it.
      if (slot.connection === pending && (isLost(error) || (await isRejected(pending)))) {
        slot.connection = undefined;
        void pending.then((connection) => connection.close()).catch(() => undefined);
      }
      throw error;
    }
  }

  async #connect(): Promise<C> {
    const { credentials, prepare } = this.#options;
    const connection = await this.#login(credentials);
    try {
      this.#preparation ??= prepare?.(connection);
      await this.#preparation;
      await this.#greet?.(connection);
      return connection;
    } catch (error) {
      this.#preparation = undefined;
      await connection.close();
      throw error;
    }
  }

  async #login(credentials: CredentialSource): Promise<C> {
    try {
      return await this.#options.connect(credentials.current());
    } catch (error) {
      if (!isDevstackError(error, 'AUTHENTICATION_FAILED')) throw error;
      // The password may have been rotated.
      return await this.#options.connect(await credentials.refresh());
    }
  }
}

interface Slot<C> {
  pending: number;
  connection: Promise<C> | undefined;
}

const lostCodes: ReadonlySet<string> = new Set([
  ReferenceApiErrorCode.credentialsPending,
  ReferenceApiErrorCode.rootsUnreadable,
  'CONNECTION_REFUSED',
  'CONNECTION_LOST',
  'CONNECTION_TIMED_OUT',
  'HOST_UNKNOWN',
  'AUTHENTICATION_FAILED',
  'PROTOCOL_MISMATCH',
  'TLS_FAILED',
]);

function isLost(error: unknown): boolean {
  return isDevstackError(error) && lostCodes.has(error.code);
}

async function isRejected(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => false,
    () => true,
  );
}

function unavailable(name: string, error: unknown): DevstackError {
  const reason = isDevstackError(error) ? error.code : 'CLOSED';
  return new DevstackError({
    code: ReferenceApiErrorCode.backendUnavailable,
    message: `${name} is not available (${reason}).`,
    hint: 'Try again in a moment; /health says what is missing.',
    cause: error,
    details: { backend: name, reason },
  });
}
