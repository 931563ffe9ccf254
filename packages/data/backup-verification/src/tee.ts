/** Lets a second reader see what the first one takes, piece by piece and never far ahead of it. */
export class Tee {
  /** What the second reader reads. It meets an error where the first one left early. */
  readonly copy: AsyncIterable<Uint8Array>;
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #isWhole = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, {
      highWaterMark: 4,
    });
    this.copy = readable;
    this.#writer = writable.getWriter();
    // Said to the second reader.
    this.#writer.closed.catch(() => undefined);
  }

  /** Whether the source was read to its end. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** What the first reader reads. */
  async *main(): AsyncGenerator<Uint8Array, void, undefined> {
    let isFollowed = true;
    try {
      for await (const piece of this.#source) {
        // A second reader that has seen enough holds nobody up.
        isFollowed &&= await this.#writer.write(piece).then(
          () => true,
          () => false,
        );
        yield piece;
      }
      this.#isWhole = true;
    } finally {
      await (this.#isWhole ? this.#writer.close() : this.#writer.abort(new Error('the first reader left early'))).catch(
        () => undefined,
      );
    }
  }
}
