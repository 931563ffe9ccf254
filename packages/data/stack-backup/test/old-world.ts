import fs from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { recover, type RecoveryReport, type RecoverySteps } from '@devstack-core/disaster-recovery';
import type { Stack } from '@devstack-core/stack-lifecycle';
import { discard, oldStackAside, putBack } from '../src/old-stack.ts';
import { fakeDocker, type Tick } from './fake-docker.ts';

/** A stack whose volumes and folder are files in a folder, recovered by the real steps for what is in the way. */
export interface OldWorld {
  readonly folder: string;
  readonly tick?: Tick;
  /** The step `proof` fails: everything is to be put back. */
  readonly isFailing?: boolean;
  readonly resume?: boolean;
  /** A volume that a container of somebody else uses. */
  readonly inUse?: string;
}

const project = 'p';
const own = { 'com.docker.compose.project': project, role: 'data' };

export function stackOf({ folder, tick, inUse }: OldWorld): Stack {
  const docker = fakeDocker(join(folder, 'volumes'), tick, inUse);
  const stack = {
    project: { id: project, configDirectory: join(folder, 'home', project) },
    engine: () => Promise.resolve(docker),
    compose: { down: () => Promise.resolve() },
  };
  return stack as unknown as Stack;
}

async function write(path: string, text: string): Promise<void> {
  await fs.mkdir(dirname(path), { recursive: true });
  await fs.writeFile(path, text);
}

/** What is there before the recovery. */
export async function prepare(folder: string): Promise<void> {
  const home = join(folder, 'home', project);
  await write(join(home, 'vault/keys.json'), 'old');
  await write(join(home, 'approles/operator/secret-id'), 'old');
  await write(join(home, 'state/delivered.json'), 'old');
  await write(join(home, 'state/stack.lock/1'), 'lease');
  await write(join(home, 'compose.env'), 'settings');
  for (const name of ['p_postgres', 'p_vault']) {
    await write(join(folder, 'volumes', name, 'data'), `old ${name}`);
    await write(join(folder, 'volumes', name, 'labels'), JSON.stringify(own));
  }
}

/** All that is there, but the journal and the history. */
export async function stateOf(folder: string): Promise<string> {
  const lines: string[] = [];
  for (const top of ['home', 'volumes'])
    for (const entry of await fs.readdir(join(folder, top), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) lines.push(`${path.slice(folder.length + 1)}=${await fs.readFile(path, 'utf8')}`);
      // A folder that is left empty is still left.
      else if (entry.name.includes('.before-')) lines.push(path.slice(folder.length + 1));
    }
  return lines.toSorted().join('\n');
}

export async function recoverWorld(world: OldWorld): Promise<RecoveryReport> {
  const { folder, tick = (): void => undefined, isFailing = false } = world;
  const stack = stackOf(world);
  const docker = await stack.engine();
  const home = stack.project.configDirectory;
  const looked = { run: () => Promise.resolve({ did: ['looked'] }) };
  const steps: RecoverySteps = {
    engine: looked,
    configuration: looked,
    vault: {
      run: async (context) => {
        const did = await oldStackAside(stack, context);
        // A new stack, with things that the old one did not have, and without one that it had.
        for (const name of ['p_postgres', 'p_new']) {
          await docker.ensureVolume({ name, labels: own });
          await write(join(folder, 'volumes', name, 'data'), `new ${name}`);
        }
        await write(join(home, 'vault/keys.json'), 'new');
        await write(join(home, 'certificates/ca.pem'), 'new');
        await write(join(home, 'state/up.journal'), 'new');
        tick('new stack');
        return { did };
      },
      putBack: (aside) => putBack(stack, aside),
      discard: (aside) => discard(stack, aside),
    },
    services: looked,
    databases: looked,
    proof: { run: () => (isFailing ? Promise.reject(new Error('not as in the set')) : looked.run()) },
  };
  const set = { id: '20261120_020000', manifestSha256: 'b', sequence: 1, createdAt: '2026-11-20T02:00:00.000Z' };
  const candidate = { ...set, kind: 'full' as const, encrypted: true, sizeBytes: 1, snapshots: [] };
  return recover({
    source: {
      list: () => Promise.resolve([candidate]),
      verify: () => Promise.resolve({ verdict: 'valid', reasons: [] }),
    },
    steps,
    directory: join(folder, 'state'),
    historyFile: join(folder, 'state', 'history.jsonl'),
    resume: world.resume,
    confirm: () => Promise.resolve(true),
    onJournalLine: (point) => {
      tick(`journal ${point}`);
    },
  });
}

/** Has every rename and removal in the stack's folder tick, too; undone by what it gives back. */
export function tickFiles(folder: string, tick: Tick): () => void {
  const { rename, rm } = fs;
  const home = join(folder, 'home');
  const isOurs = (path: unknown): boolean => String(path).startsWith(home) && existsSync(String(path));
  fs.rename = async (from, to) => {
    if (isOurs(from)) tick('file: rename');
    await rename(from, to);
    if (isOurs(to)) tick('file: renamed');
  };
  fs.rm = async (path, options) => {
    const ours = isOurs(path);
    if (ours) tick('file: remove');
    await rm(path, options);
    if (ours) tick('file: removed');
  };
  syncBuiltinESMExports();
  return () => {
    Object.assign(fs, { rename, rm });
    syncBuiltinESMExports();
  };
}
