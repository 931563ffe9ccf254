import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackupStore, type BackupStore, type StoreStep } from '@devstack-core/backup-store';
import type { VerificationReport } from '@devstack-core/backup-verification';
import { recover, unfinishedRecovery, type RecoveryReport, type RecoverySteps } from '@devstack-core/disaster-recovery';
import { Secret } from '@devstack-core/redaction';
import {
  compareWithBackup,
  createBackup,
  recoverySource,
  restoreBackup,
  verifyBackup,
  type CreatedBackup,
} from '../src/index.ts';
import { fileService, type FileServiceOptions } from './file-service.ts';

export const passphrase = 'correct horse battery staple 9';
/** In every set: to be found nowhere in clear but in the engine itself. */
export const canary = 'a-row-that-nobody-else-may-read';

/** What the engine holds at a time, by part. */
export type State = Readonly<Record<string, string>>;

export type Moment = 'older' | 'newer' | 'present';

/** What it held when the sets were made, and holds now. */
export function stateAt(moment: Moment, parts = 1): State {
  const names = ['orders', 'users'].slice(0, parts);
  return Object.fromEntries(names.map((name) => [name, `${moment} ${name}, ${canary} ${moment.repeat(400)}`]));
}

export interface FaultWorldOptions {
  readonly now?: () => Date;
  readonly timeZone?: string;
  readonly passphrase?: string;
  readonly onStep?: (step: StoreStep) => void | Promise<void>;
  readonly onJournalLine?: (point: string) => void | Promise<void>;
  readonly tick?: FileServiceOptions['tick'];
  readonly isTorn?: boolean;
  readonly onVerify?: (event: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A real store of sets, and an engine made of files, in one folder: each operation as the commands do it, but for Docker. */
export class FaultWorld {
  readonly folder: string;
  readonly sets: string;
  readonly engine: string;
  readonly store: BackupStore;
  readonly #options: FaultWorldOptions;

  constructor(folder: string, options: FaultWorldOptions = {}) {
    this.folder = folder;
    this.sets = join(folder, 'sets');
    this.engine = join(folder, 'engine');
    this.#options = options;
    const { now, timeZone = 'UTC', onStep } = options;
    this.store = openBackupStore({
      directory: this.sets,
      passphrase: new Secret(options.passphrase ?? passphrase),
      tool: { name: 'test', version: '1' },
      timeZone,
      ...(now === undefined ? {} : { now }),
      ...(onStep === undefined ? {} : { onStep: (step) => onStep(step) }),
    });
  }

  /** The same folder, looked at in another way. */
  with(options: FaultWorldOptions): FaultWorld {
    return new FaultWorld(this.folder, { ...this.#options, ...options });
  }

  get #service(): ReturnType<typeof fileService> {
    const { tick, isTorn } = this.#options;
    return fileService({
      directory: this.engine,
      ...(tick === undefined ? {} : { tick }),
      ...(isTorn === undefined ? {} : { isTorn }),
    });
  }

  create(parent?: string): Promise<CreatedBackup> {
    return createBackup(this.store, {
      project: 'p',
      services: [this.#service],
      parent,
      signal: this.#options.signal,
    });
  }

  rotate(): ReturnType<BackupStore['rotate']> {
    return this.store.rotate({ keepLast: 1 });
  }

  verify(id: string, level: 1 | 2 = 2): Promise<VerificationReport> {
    const docker = (): never => {
      throw new Error('no Docker here');
    };
    const { signal, now, onVerify } = this.#options;
    const onEvent = onVerify === undefined ? undefined : ({ type }: { readonly type: string }) => onVerify(type);
    return verifyBackup({ store: this.store, id, level, docker, signal, now, onEvent });
  }

  restore(set: string): Promise<readonly string[]> {
    return restoreBackup(this.store, { set, services: [this.#service], signal: this.#options.signal });
  }

  /** By the seven steps; only the databases and the proof have something to do. */
  async recover(backup?: string): Promise<RecoveryReport> {
    const { now, signal, onJournalLine } = this.#options;
    const looked = { run: () => Promise.resolve({ did: ['looked'] }) };
    const kept = join(this.folder, 'kept');
    const docker = (): never => {
      throw new Error('no Docker here');
    };
    const steps: RecoverySteps = {
      engine: looked,
      configuration: looked,
      vault: looked,
      services: looked,
      databases: {
        run: async ({ set, keepAside }) => {
          await keepAside({ id: 'engine', what: 'the engine', keptAt: kept }, async () => {
            await rm(kept, { recursive: true, force: true });
            await cp(this.engine, kept, { recursive: true });
          });
          return { did: await this.restore(set.id) };
        },
        putBack: async ({ isComplete }) => {
          if (!isComplete) return;
          await rm(this.engine, { recursive: true, force: true });
          await cp(kept, this.engine, { recursive: true });
        },
        discard: () => rm(kept, { recursive: true, force: true }),
      },
      proof: {
        run: async ({ set }) => {
          const compared = await compareWithBackup(this.store, { set: set.id, services: [this.#service] });
          if (compared.some(({ differences }) => differences?.length !== 0)) throw new Error('not as in the set');
          return { did: ['compared'] };
        },
      },
    };
    const directory = join(this.folder, 'recovery');
    return recover({
      source: recoverySource(this.store, { docker }),
      steps,
      directory,
      historyFile: join(directory, 'history.jsonl'),
      backup,
      resume: (await unfinishedRecovery(directory)) !== undefined,
      confirm: () => Promise.resolve(true),
      signal,
      now,
      onJournalLine,
    });
  }

  async hold(state: State): Promise<void> {
    await mkdir(this.engine, { recursive: true });
    for (const [name, text] of Object.entries(state)) await writeFile(join(this.engine, name), text);
  }

  /** What the engine holds; a half of something is there under its own name or not at all. */
  async held(): Promise<State> {
    const names = (await readdir(this.engine)).filter((name) => !name.startsWith('.')).toSorted();
    const pairs = names.map(async (name) => [name, await readFile(join(this.engine, name), 'utf8')] as const);
    return Object.fromEntries(await Promise.all(pairs));
  }

  /** Files outside of the engine that hold what was backed up in clear. */
  async inClear(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const entry of await readdir(this.folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || path.startsWith(this.engine)) continue;
      const bytes = await readFile(path);
      if (bytes.includes(canary) || bytes.includes(passphrase)) found.push(path.slice(this.folder.length + 1));
    }
    return found;
  }

  /** Names in the folder of the sets, but for the store's own notes. */
  async names(): Promise<readonly string[]> {
    return (await readdir(this.sets)).filter((name) => name !== '.store').toSorted();
  }

  async complete(): Promise<readonly string[]> {
    return (await this.store.list()).filter(({ status }) => status === 'complete').map(({ id }) => id);
  }
}

/** A folder with a store of an older and a newer set, and an engine that has gone on since. */
export interface PreparedWorld extends AsyncDisposable {
  readonly folder: string;
  readonly older: string;
  readonly newer: string;
  /** A copy of it, for one test. */
  copy(options?: FaultWorldOptions): Promise<FaultWorld & AsyncDisposable>;
}

/** With one part unless more are wanted: each costs the derivation of a key, each time. */
export async function prepareFaultWorld(parts: 1 | 2 = 1): Promise<PreparedWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-faults-'));
  let now = new Date('2026-10-01T10:00:00Z');
  const world = new FaultWorld(folder, { now: () => now });
  await world.hold(stateAt('older', parts));
  const older = (await world.create()).manifest.id;
  now = new Date('2026-10-02T10:00:00Z');
  await world.hold(stateAt('newer', parts));
  const newer = (await world.create()).manifest.id;
  await world.hold(stateAt('present', parts));
  return {
    folder,
    older,
    newer,
    async copy(options = {}) {
      const own = await mkdtemp(join(tmpdir(), 'devstack-faults-'));
      await cp(folder, own, { recursive: true });
      const copied = new FaultWorld(own, { now: () => new Date('2026-10-03T10:00:00Z'), ...options });
      return Object.assign(copied, {
        [Symbol.asyncDispose]: () => rm(own, { recursive: true, force: true }),
      });
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
