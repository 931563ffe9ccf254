import { createHash, createHmac } from 'node:crypto';
import type { Secret } from '@devstack-core/redaction';
import type { Measure, Progress } from './types.ts';

/** Counts and hashes what passes. */
export class Meter {
  bytes = 0;
  readonly #hash: ReturnType<typeof createHash | typeof createHmac>;

  constructor(key?: Secret<Uint8Array>) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key.reveal());
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
  }

  /** Once, at the end. */
  measure(): Measure {
    return { bytes: this.bytes, sha256: this.#hash.digest('hex') };
  }

  async *through(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.update(chunk);
      yield chunk;
    }
  }
}

const progressEveryMs = 100;

/** Calls back at most every 100 ms; `last` calls in any case. */
export class ProgressReport {
  readonly #report: ((progress: Progress) => void) | undefined;
  #lastMs = 0;

  constructor(report: ((progress: Progress) => void) | undefined) {
    this.#report = report;
  }

  step(plainBytes: number, cipherBytes: number): void {
    const now = performance.now();
    if (this.#report === undefined || now - this.#lastMs < progressEveryMs) return;
    this.#lastMs = now;
    this.#report({ plainBytes, cipherBytes });
  }

  last(plainBytes: number, cipherBytes: number): void {
    this.#report?.({ plainBytes, cipherBytes });
  }
}
