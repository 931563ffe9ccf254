import type { Forward } from '@devstack-core/docker-engine';
import { abortReason } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import type { RabbitmqPlace } from './rabbitmq-place.ts';

/** A queue as the management API lists it. */
export interface ListedQueue {
  readonly vhost: string;
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
}

/** RabbitMQ's management API, on a port that leads into the container. */
export class ManagementApi implements AsyncDisposable {
  readonly #forward: Forward;
  readonly #authorization: Secret;
  readonly #signal: AbortSignal | undefined;

  private constructor(forward: Forward, authorization: Secret, signal: AbortSignal | undefined) {
    this.#forward = forward;
    this.#authorization = authorization;
    this.#signal = signal;
  }

  static async open(place: RabbitmqPlace, signal: AbortSignal | undefined): Promise<ManagementApi> {
    const password = place.password?.reveal() ?? '';
    const basic = Buffer.from(`${place.username}:${password}`, 'utf8').toString('base64');
    const forward = await place.docker.forward(place.container, place.managementPort ?? 15_672);
    return new ManagementApi(forward, new Secret(`Basic ${basic}`), signal);
  }

  /** Asks; throws an `Error` with the status for anything but success. Segments of the path are escaped. */
  async ask(verb: 'GET' | 'PUT' | 'POST' | 'DELETE', path: readonly string[], body?: unknown): Promise<unknown> {
    const url = `http://${this.#forward.host}:${String(this.#forward.port)}/api/${path.map(encodeURIComponent).join('/')}`;
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(url, {
        method: verb,
        headers: { authorization: this.#authorization.reveal(), 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([AbortSignal.timeout(120_000), ...(this.#signal === undefined ? [] : [this.#signal])]),
      });
      text = await answer.text();
    } catch (error) {
      throw (
        abortReason(this.#signal, 'The call of RabbitMQ') ??
        new Error('its management API did not answer', { cause: error })
      );
    }
    if (answer.ok) return text === '' ? undefined : JSON.parse(text);
    throw new Error(
      `its management API answered ${verb} ${path.join('/')} with ${String(answer.status)} ${reasonIn(text)}`,
    );
  }

  async version(): Promise<string> {
    const overview = (await this.ask('GET', ['overview'])) as { readonly rabbitmq_version?: string };
    return overview.rabbitmq_version ?? '';
  }

  async queues(): Promise<readonly ListedQueue[]> {
    const rows = (await this.ask('GET', ['queues'])) as readonly {
      readonly vhost: string;
      readonly name: string;
      readonly type?: string;
      readonly durable: boolean;
      readonly exclusive?: boolean;
    }[];
    return rows.map(({ vhost, name, type = 'classic', durable, exclusive = false }) => ({
      vhost,
      name,
      type,
      durable,
      exclusive,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#forward.close();
  }
}

// RabbitMQ answers with {"error", "reason"}; a reason may hold an argument of a queue, but never a password.
function reasonIn(text: string): string {
  try {
    const { reason } = JSON.parse(text) as { readonly reason?: unknown };
    return typeof reason === 'string' ? `(${reason.slice(0, 200)})` : '';
  } catch {
    return '';
  }
}
