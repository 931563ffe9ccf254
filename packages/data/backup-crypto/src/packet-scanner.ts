/** What is wrong with the framing of a message. */
export type FramingFault = 'notOpenPgp' | 'damaged' | 'trailingData';

/** Thrown by `PacketScanner.push`. */
export class FramingError extends Error {
  readonly fault: FramingFault;

  constructor(fault: FramingFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

const publicKeySession = 1;
const symmetricKeySession = 3;
const protectedData = 18;
const longestSessionKeyPacket = 8192;
// Version, cipher, and an iterated S2K of 11 bytes: what follows is an encrypted session key. gpg leaves that out for a single passphrase.
const shortSessionKeyPacket = 13;

/**
 * Follows the packets of a message (RFC 9580 4.2) without opening them: session keys, then one SEIPDv1 packet, then nothing. openpgp.js is lenient
 * about what follows the message and vague about where it ends.
 */
export class PacketScanner {
  /** True when the message is whole. */
  isComplete = false;
  /** True when a passphrase can open it at all. */
  hasPassphrase = false;
  /** True when the message cannot tell a wrong passphrase from a right one before its content. */
  isKeyUnchecked = false;
  #at: 'tag' | 'length' | 'body' | 'end' = 'tag';
  #isFirst = true;
  #tag = 0;
  #isNew = false;
  #lengthBytes: number[] = [];
  #lengthWanted = 0;
  #left = 0;
  #isPartial = false;
  #isBodyBegun = false;

  /** Throws a `FramingError` at the first byte that does not fit. */
  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#at === 'body') {
        if (!this.#isBodyBegun) this.#begin(chunk[offset] ?? 0);
        const skipped = Math.min(this.#left, chunk.length - offset);
        this.#left -= skipped;
        offset += skipped;
        if (this.#left === 0) this.#partEnded();
      } else {
        const byte = chunk[offset] ?? 0;
        offset += 1;
        if (this.#at === 'tag') this.#readTag(byte);
        else if (this.#at === 'length') this.#readLength(byte);
        else throw new FramingError('trailingData', 'the message has ended, and the file goes on');
      }
    }
  }

  #readTag(byte: number): void {
    this.#isNew = (byte & 0x40) !== 0;
    this.#tag = (byte & 0x80) === 0 ? 0 : this.#isNew ? byte & 0x3f : (byte >> 2) & 0x0f;
    const isKnown = [publicKeySession, symmetricKeySession, protectedData].includes(this.#tag);
    if (!isKnown) throw this.#unexpected(`packet ${String(this.#tag)} where a session key or encrypted data belongs`);
    // Old lengths have 1, 2 or 4 bytes, or none; the first byte of new ones tells.
    if (!this.#isNew && (byte & 3) === 3) throw this.#unexpected('a session key without a length');
    this.#lengthBytes = [];
    this.#lengthWanted = this.#isNew ? 0 : 2 ** (byte & 3);
    this.#isBodyBegun = false;
    this.#at = 'length';
  }

  #readLength(byte: number): void {
    if (this.#lengthWanted === 0) {
      if (byte < 192) {
        this.#setLength(byte, false);
        return;
      }
      if (byte >= 224 && byte < 255) {
        if (this.#tag !== protectedData) throw this.#unexpected('a session key in parts');
        this.#setLength(2 ** (byte & 0x1f), true);
        return;
      }
      this.#lengthWanted = byte === 255 ? 4 : 2;
      // RFC 9580 4.2.1.2: ((first - 192) << 8) + second + 192. The 255 itself is no part of a length of four bytes.
      this.#lengthBytes = byte === 255 ? [] : [byte];
      return;
    }
    this.#lengthBytes.push(byte);
    if (this.#lengthBytes.length < this.#lengthWanted) return;
    const value = this.#lengthBytes.reduce((sum, next) => sum * 256 + next, 0);
    this.#setLength(this.#isNew && this.#lengthWanted === 2 ? value - 192 * 256 + 192 : value, false);
  }

  #setLength(length: number, isPartial: boolean): void {
    this.#left = length;
    this.#isPartial = isPartial;
    if (this.#tag !== protectedData && length > longestSessionKeyPacket)
      throw this.#unexpected(`a session key of ${String(length)} bytes`);
    this.#at = 'body';
    if (length === 0) this.#partEnded();
  }

  #begin(version: number): void {
    this.#isBodyBegun = true;
    this.#isFirst = false;
    if (this.#tag === protectedData && version !== 1)
      throw new FramingError('notOpenPgp', `its encrypted data has version ${String(version)}, and only 1 is read`);
    if (this.#tag !== symmetricKeySession) return;
    this.hasPassphrase = true;
    this.isKeyUnchecked ||= this.#left <= shortSessionKeyPacket;
  }

  #partEnded(): void {
    if (this.#isPartial) {
      this.#lengthWanted = 0;
      this.#lengthBytes = [];
      this.#at = 'length';
    } else if (this.#tag === protectedData) {
      this.#at = 'end';
      this.isComplete = true;
    } else this.#at = 'tag';
  }

  #unexpected(message: string): FramingError {
    return new FramingError(this.#isFirst ? 'notOpenPgp' : 'damaged', message);
  }
}
