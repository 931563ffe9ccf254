import { createHash } from 'node:crypto';
import type { Fingerprint, Rehearsal, Rehearser, StoredPart } from '@devstack-core/database-backup';
import type { DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import type { FakePart } from './fake-store.ts';

/** An engine that holds lines of JSON: `{"table":…,"row":…}`. */
export interface FakeEngine extends Rehearser {
  /** What happened, e.g. `start devstack/fake:local`, `restore shop`. */
  readonly log: string[];
  running: number;
}

export interface FakeEngineOptions {
  readonly engines?: readonly string[];
  readonly kinds?: readonly string[];
  /** What goes wrong. */
  readonly loses?: string;
  readonly changes?: string;
  readonly invents?: string;
  readonly refuses?: string;
  readonly stopsEarly?: boolean;
  readonly complains?: string;
  readonly hangs?: 'start' | 'restore';
  readonly cannotStart?: boolean;
  /** A fingerprint that says what was expected, whatever there is. */
  readonly answers?: () => Fingerprint;
}

export function fakeEngine(options: FakeEngineOptions = {}): FakeEngine {
  const engine: FakeEngine = {
    engines: options.engines ?? ['fake'],
    kinds: options.kinds ?? ['fake-globals', 'fake-items'],
    log: [],
    running: 0,
    async rehearse({ image }) {
      engine.log.push(`start ${image}`);
      if (options.cannotStart === true) throw new DevstackError({ code: 'PLACE_UNUSABLE', message: 'no memory' });
      if (options.hangs === 'start') await new Promise((resolve) => setTimeout(resolve, 300));
      engine.running += 1;
      return rehearsalOf(engine, options);
    },
  };
  return engine;
}

function rehearsalOf(engine: FakeEngine, options: FakeEngineOptions): Rehearsal {
  const tables = new Map<string, Map<string, string[]>>();
  return {
    async restore(part, content) {
      engine.log.push(`restore ${part.name}`);
      if (options.hangs === 'restore') await new Promise(() => undefined);
      let text = '';
      for await (const piece of content) {
        text += Buffer.from(piece).toString('utf8');
        if (options.stopsEarly === true) break;
      }
      if (options.refuses === part.name)
        throw new DevstackError({ code: 'RESTORE_FAILED', message: 'syntax error at line 1' });
      tables.set(part.name, parse(text, options));
    },
    fingerprint: (part) => Promise.resolve(options.answers?.() ?? fingerprintOf(tables.get(part.name))),
    check: (part: StoredPart) =>
      Promise.resolve(options.complains === part.name ? ['The index of orders is broken.'] : []),
    [Symbol.asyncDispose]() {
      engine.running -= 1;
      engine.log.push('gone');
      return Promise.resolve();
    },
  };
}

function parse(text: string, { loses, changes, invents }: FakeEngineOptions): Map<string, string[]> {
  const tables = new Map<string, string[]>();
  for (const line of text.split('\n').filter((row) => row.startsWith('{'))) {
    const { table, row } = JSON.parse(line) as { table: string; row: string };
    if (table === loses) continue;
    tables.set(table, [...(tables.get(table) ?? []), table === changes ? `${row}!` : row]);
  }
  if (invents !== undefined) tables.set(invents, ['x']);
  return tables;
}

export function fingerprintOf(tables: ReadonlyMap<string, readonly string[]> | undefined): Fingerprint {
  return {
    schema: 'devstack/fingerprint/1',
    items: [...(tables ?? [])].map(([name, rows]) => ({
      kind: 'table',
      name,
      count: rows.length,
      checksum: createHash('sha256').update(rows.toSorted().join('\n')).digest('hex'),
    })),
  };
}

/** A part whose fingerprint is right. */
export function wholePart(
  service: string,
  name: string,
  tables: Readonly<Record<string, readonly string[]>>,
  more: Partial<FakePart> = {},
): FakePart {
  const lines = Object.entries(tables).flatMap(([table, rows]) => rows.map((row) => JSON.stringify({ table, row })));
  return {
    service,
    name,
    content: lines.map((line) => `${line}\n`).join(''),
    fingerprint: fingerprintOf(new Map(Object.entries(tables))),
    ...more,
  };
}

/** As much of Docker as a verification asks for. */
export function fakeDocker(images: Readonly<Record<string, string>> = { 'sha256:same': 'sha256:same' }): DockerEngine {
  return {
    inspectImage: (ref: string) => {
      const id = images[ref];
      return Promise.resolve(id === undefined ? undefined : { id });
    },
    listContainers: () => Promise.resolve([]),
    listVolumes: () => Promise.resolve([]),
  } as unknown as DockerEngine;
}
