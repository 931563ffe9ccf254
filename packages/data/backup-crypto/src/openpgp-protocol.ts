import type { FailedAt } from './openpgp-message.ts';

/** Size of the buffers that the thread fills, and how many of them go back and forth. */
export const outputBytes: number = 256 * 1024;
export const outputCount = 4;

/** What the thread is told. */
export type ToWorker =
  | { readonly kind: 'input'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  /** One more output may be sent, in this buffer where one comes back. */
  | { readonly kind: 'buffer'; readonly buffer: ArrayBuffer | undefined };

/** What the thread says. */
export type FromWorker =
  | { readonly kind: 'taken'; readonly bytes: number }
  | { readonly kind: 'output'; readonly buffer: ArrayBuffer; readonly length: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly at: FailedAt | undefined; readonly message: string };
