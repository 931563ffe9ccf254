import { abortReason, type DevstackError } from '@devstack-core/errors';
import { connectionError, failure, type Classify, type Target } from './failure.ts';

/** What a connection is made of, as its engine knows it. */
export interface LifetimeOptions<Driver> {
  readonly target: Target;
  readonly classify: Classify;
  readonly connectTimeoutMs?: number | undefined;
  readonly commandTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Makes the driver's object without waiting for anything, so that there is something to destroy from the first moment. */
  readonly create: (report: (error: unknown) => void) => Driver;
  /** Logs in. */
  readonly login: (driver: Driver) => Promise<unknown>;
  /** Says goodbye to the server. */
  readonly leave: (driver: Driver) => Promise<unknown>;
  /** Ends the socket at once; must not throw. */
  readonly destroy: (driver: Driver) => void;
}

const leaveTimeoutMs = 1000;

/**
 * The life of one driver connection. Drivers differ in what happens to a pending call when its socket goes away (some never
 * settle it), so every call races against the end of the connection, whoever ends it.
 */
export class Lifetime<Driver> {
  readonly #options: LifetimeOptions<Driver>;
  readonly #end: PromiseWithResolvers<never> = Promise.withResolvers<never>();
  readonly #onAbort: () => void;
  readonly driver: Driver;
  #ended: DevstackError | undefined;
  #open = false;
  #reported: unknown;
  #closing: Promise<void> | undefined;

  private constructor(options: LifetimeOptions<Driver>) {
    this.#options = options;
    this.#end.promise.catch(() => undefined);
    this.#onAbort = () => {
      this.#finish(
        abortReason(options.signal, `The connection to ${options.target.engine}`) ?? failure(options.target, 'lost'),
      );
    };
    this.driver = options.create((error) => {
      // Before the login has ended this says more than what the login then rejects with; afterwards it is the end.
      this.#reported ??= error;
      if (this.#open) this.#finish(connectionError(options.target, error, options.classify));
    });
    options.signal?.addEventListener('abort', this.#onAbort);
  }

  /** Connects and logs in, or throws one of this package's errors and leaves nothing open. */
  static async open<Driver>(options: LifetimeOptions<Driver>): Promise<Lifetime<Driver>> {
    const reason = abortReason(options.signal, `The connection to ${options.target.engine}`);
    if (reason !== undefined) throw reason;
    const lifetime = new Lifetime(options);
    try {
      await lifetime.#race(async () => options.login(lifetime.driver), options.connectTimeoutMs ?? 5000, []);
    } catch (error) {
      lifetime.#finish(error as DevstackError);
      throw error;
    }
    lifetime.#open = true;
    return lifetime;
  }

  /** Runs a command. The secrets are masked in what the server may answer. */
  async run<T>(work: (driver: Driver) => Promise<T>, secrets: readonly unknown[] = []): Promise<T> {
    if (this.#ended !== undefined) throw this.#ended;
    const { commandTimeoutMs } = this.#options;
    return await this.#race(async () => work(this.driver), commandTimeoutMs, secrets);
  }

  /** Says goodbye, for at most a second, and ends the connection. */
  async close(): Promise<void> {
    if (this.#ended !== undefined && this.#closing === undefined) return;
    this.#closing ??= this.#leave();
    await this.#closing;
  }

  async #leave(): Promise<void> {
    const timer = Promise.withResolvers<undefined>();
    const timeout = setTimeout(() => {
      timer.resolve(undefined);
    }, leaveTimeoutMs);
    try {
      await Promise.race([this.#options.leave(this.driver), timer.promise, this.#end.promise]);
    } catch {
      // A server that is gone cannot be left politely.
    } finally {
      clearTimeout(timeout);
      this.#finish(failure(this.#options.target, 'lost', 'it was closed before'));
    }
  }

  async #race<T>(work: () => Promise<T>, limitMs: number | undefined, secrets: readonly unknown[]): Promise<T> {
    const { target, classify } = this.#options;
    const timer = Promise.withResolvers<never>();
    const timeout =
      limitMs === undefined
        ? undefined
        : setTimeout(() => {
            const error =
              this.#reported === undefined
                ? failure(target, 'timedOut', `nothing came within ${String(limitMs)} ms`)
                : connectionError(target, this.#reported, classify, secrets);
            this.#finish(error);
            timer.reject(error);
          }, limitMs);
    try {
      return await Promise.race([work(), timer.promise, this.#end.promise]);
    } catch (error) {
      throw connectionError(target, this.#open ? error : (this.#reported ?? error), classify, secrets);
    } finally {
      clearTimeout(timeout);
    }
  }

  #finish(error: DevstackError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#end.reject(error);
    try {
      this.#options.destroy(this.driver);
    } catch {
      // It is gone already.
    }
  }
}
