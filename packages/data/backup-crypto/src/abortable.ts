import { abortReason } from '@devstack-core/errors';

/** The source until the signal is aborted, even while it stalls; then throws `INTERRUPTED` or the signal's own reason. */
export async function* abortable(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  what: string,
): AsyncGenerator<Uint8Array> {
  if (signal === undefined) {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  let abort: () => void = () => undefined;
  const aborted = new Promise<undefined>(
    (resolve) =>
      (abort = () => {
        resolve(undefined);
      }),
  );
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    for (;;) {
      const next = await Promise.race([aborted, iterator.next()]);
      if (next === undefined) throw abortReason(signal, what) ?? new Error(`${what} was interrupted.`);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Not waited for: a source that stalls would hold up the interruption.
    iterator.return?.().then(undefined, () => undefined);
  }
}
