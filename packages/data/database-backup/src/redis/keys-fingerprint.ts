import { createHash } from 'node:crypto';
import type { Fingerprint, FingerprintItem } from '../types.ts';
import { groupOfType } from './rdb-types.ts';
import type { RdbRecord } from './rdb-reader.ts';
import { slotOf, type SlotSet } from './slots.ts';
import { digestKey } from './value-digest.ts';

const bucketSlots = 1024;
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
/** Keys that will expire are summed by how long they have left; a sum counts for as long as none of its keys can have gone. */
const spans: readonly (readonly [from: number, name: string])[] = [
  [0, 'within 10 seconds'],
  [10 * second, 'after 10 seconds'],
  [minute, 'after a minute'],
  [5 * minute, 'after 5 minutes'],
  [15 * minute, 'after 15 minutes'],
  [hour, 'after an hour'],
  [6 * hour, 'after 6 hours'],
  [day, 'after a day'],
  [7 * day, 'after 7 days'],
  [30 * day, 'after 30 days'],
  [365 * day, 'after a year'],
];

export interface KeysFingerprintOptions {
  /** Keys of other slots are not counted. */
  readonly slots: SlotSet;
  /** When the snapshot was taken: what had expired then is not counted. */
  readonly snapshotAt: Date;
  /** Libraries that are looked for; all where missing. In a cluster each node has them all. */
  readonly libraries?: readonly string[];
}

/** Sums up keys and functions, in any order and from any number of nodes. */
export class KeysFingerprint {
  readonly #options: KeysFingerprintOptions;
  readonly #sums = new Map<string, Sum>();
  readonly #libraries = new Map<string, string>();

  constructor(options: KeysFingerprintOptions) {
    this.#options = options;
  }

  add(record: RdbRecord): void {
    if (record.kind === 'function') this.#library(record.code);
    if (record.kind !== 'key') return;
    const slot = slotOf(record.key);
    if (!this.#options.slots.has(slot)) return;
    const start = this.#options.snapshotAt.getTime();
    const digest = digestKey(record, start);
    if (digest === undefined) return;
    const from = slot - (slot % bucketSlots);
    const where = `slots ${String(from)}-${String(from + bucketSlots - 1)}`;
    const group = `${record.database === 0 ? '' : `database ${String(record.database)}: `}${groupOfType[record.type] ?? ''}`;
    if (digest.goesAt === undefined) this.#sum('keys', `${group} in ${where}`).add(digest.sha256);
    else {
      const left = digest.goesAt - start;
      const [span, name] = spans.findLast(([limit]) => left >= limit) ?? [0, ''];
      this.#sum('expiring keys', name, new Date(start + span).toISOString()).add(digest.sha256);
    }
  }

  /** Names of the libraries that were met. */
  get libraries(): readonly string[] {
    return [...this.#libraries.keys()].toSorted();
  }

  finish(): Fingerprint {
    const wanted = this.#options.libraries;
    const functions = [...this.#libraries]
      .filter(([name]) => wanted === undefined || wanted.includes(name))
      .map(([name, checksum]): FingerprintItem => ({ kind: 'functions', name, count: 1, checksum }));
    return {
      schema: 'devstack/fingerprint/1',
      items: [...[...this.#sums.values()].map((sum) => sum.item()), ...functions],
    };
  }

  #library(code: Buffer): void {
    const name = libraryName(code);
    this.#libraries.set(name, createHash('sha256').update(code).digest('hex'));
  }

  #sum(kind: string, name: string, validUntil?: string): Sum {
    const key = `${kind}\0${name}`;
    const sum = this.#sums.get(key) ?? new Sum(kind, name, validUntil);
    this.#sums.set(key, sum);
    return sum;
  }
}

/** The name in a library's first line, e.g. `#!lua name=mylib`. */
export function libraryName(code: Buffer): string {
  return /^#!\S+.*\bname=([A-Za-z0-9_]+)/.exec(code.toString('utf8').split('\n')[0] ?? '')?.[1] ?? '';
}

/** Adds digests as numbers of 256 bits in eight lanes, so that their order is of no account. */
class Sum {
  readonly #lanes = new Uint32Array(8);
  readonly #about: Pick<FingerprintItem, 'kind' | 'name' | 'validUntil'>;
  #count = 0;

  constructor(kind: string, name: string, validUntil: string | undefined) {
    this.#about = { kind, name, ...(validUntil === undefined ? {} : { validUntil }) };
  }

  add(sha256: Buffer): void {
    this.#count += 1;
    for (let lane = 0; lane < 8; lane += 1)
      this.#lanes[lane] = ((this.#lanes[lane] ?? 0) + sha256.readUInt32LE(4 * lane)) >>> 0;
  }

  item(): FingerprintItem {
    const checksum = [...this.#lanes].map((lane) => lane.toString(16).padStart(8, '0')).join('');
    return { ...this.#about, count: this.#count, checksum };
  }
}
