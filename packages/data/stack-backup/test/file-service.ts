import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupPart, Fingerprint } from '@devstack-core/database-backup';
import type { ServiceBackup } from '../src/index.ts';

/** Called at each thing that happens to the engine: throws, aborts or kills. */
export type Tick = (point: string) => void;

export interface FileServiceOptions {
  /** Each file in it is a part, and its content what the part holds. */
  readonly directory: string;
  readonly tick?: Tick;
  /** The control: writes over what is there, as no engine of ours does. */
  readonly isTorn?: boolean;
}

/** An engine that holds texts in files, so that it outlives the process that is killed. It replaces a part as a whole or not at all. */
export function fileService({ directory, tick = () => undefined, isTorn = false }: FileServiceOptions): ServiceBackup {
  const path = (name: string): string => join(directory, name);
  const fingerprintOf = async (name: string): Promise<Fingerprint> => {
    const text = existsSync(path(name)) ? await readFile(path(name), 'utf8') : '';
    return {
      schema: 'devstack/fingerprint/1',
      items: [{ kind: 'table', name, count: text.length, checksum: text.slice(0, 40) }],
    };
  };
  const part = (name: string): BackupPart => ({
    name,
    kind: 'file-database',
    extension: 'txt',
    engine: { name: 'filesql', version: '1', image: { name: 'filesql:local', id: 'sha256:0' } },
    consistency: 'exact',
    snapshotAt: '2026-11-20T02:00:00.000Z',
    restoreHint: ['filesql restore FILE'],
    fingerprint: () => fingerprintOf(name),
    async *content() {
      tick(`dump ${name}: begun`);
      const text = await readFile(path(name), 'utf8');
      for (const half of [text.slice(0, text.length / 2), text.slice(text.length / 2)]) {
        yield Buffer.from(half);
        tick(`dump ${name}: a piece given`);
      }
    },
  });
  return {
    service: 'files',
    engines: ['filesql'],
    kinds: ['file-database'],
    async *open() {
      for (const name of (await readdir(directory)).toSorted()) if (!name.startsWith('.')) yield part(name);
    },
    async restore({ name }, content) {
      const target = isTorn ? path(name) : path(`.${name}.new`);
      // What a killed restore has left.
      if (!isTorn) await rm(target, { force: true });
      tick(`restore ${name}: begun`);
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk);
      const whole = Buffer.concat(chunks);
      await writeFile(target, whole.subarray(0, whole.length / 2));
      tick(`restore ${name}: half of it written`);
      await writeFile(target, whole);
      tick(`restore ${name}: all of it written`);
      if (!isTorn) await rename(target, path(name));
      tick(`restore ${name}: in its place`);
    },
    fingerprint: ({ name }) => fingerprintOf(name),
  };
}
