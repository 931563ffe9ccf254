import { join } from 'node:path';
import { writeFileDurable } from '@devstack-core/durable-files';
import { isDevstackError } from '@devstack-core/errors';
import { layout, setFiles, type StoreContext } from './context.ts';
import { readSmall } from './files.ts';

/** What was learnt of a set after it was made. It lies in the set's folder and goes with it; no restore depends on it. */
export interface SetState {
  readonly pinned: boolean;
  /** The latest verification of each service by a restore. */
  readonly restored: Readonly<Record<string, { readonly at: string; readonly verdict: Verdict }>>;
  /** The latest verification of the whole set, of any level. */
  readonly verified: { readonly at: string; readonly level: number; readonly verdict: Verdict } | null;
}

/** What a verification found. */
export type Verdict = 'valid' | 'invalid' | 'inconclusive';

const empty: SetState = { pinned: false, restored: {}, verified: null };

/** Reads it; an empty one where there is none that can be read. */
export async function readSetState(folder: string): Promise<SetState> {
  try {
    const text = await readSmall(join(folder, setFiles.state));
    const value: unknown = text === undefined ? {} : JSON.parse(text);
    return { ...empty, ...(value as Partial<SetState>) };
  } catch {
    return empty;
  }
}

/** Changes it. */
export async function updateSetState(folder: string, change: Partial<SetState>): Promise<SetState> {
  const next = { ...(await readSetState(folder)), ...change };
  await writeFileDurable(join(folder, setFiles.state), `${JSON.stringify(next, undefined, 2)}\n`);
  return next;
}

/** What a restore on trial has shown. */
export interface RestoreVerdict {
  readonly verdict: Verdict;
  /** Of each service that was tried. */
  readonly services: Readonly<Record<string, Verdict>>;
}

/** Keeps what a restore on trial has shown. */
export async function recordRestoreTest(
  { now }: StoreContext,
  folder: string,
  { verdict, services }: RestoreVerdict,
): Promise<SetState> {
  const at = now().toISOString();
  const tried = Object.fromEntries(Object.entries(services).map(([service, one]) => [service, { at, verdict: one }]));
  const { restored } = await readSetState(folder);
  return updateSetState(folder, { restored: { ...restored, ...tried }, verified: { at, level: 3, verdict } });
}

/** Keeps what a verification found, where the folder can be written at all. */
export async function recordVerification(
  { directory, now }: StoreContext,
  { id, verdict, level }: { readonly id: string; readonly verdict: Verdict; readonly level: number },
): Promise<void> {
  const folder = layout.set(directory, id);
  const { verified } = await readSetState(folder);
  // A deeper one of before is not forgotten for a shallower one that agrees.
  if (verified?.verdict === verdict && verified.level > level) return;
  try {
    await updateSetState(folder, {
      verified: { at: now().toISOString(), level, verdict },
      // What is broken now cannot be what was restored then.
      ...(verdict === 'invalid' ? { restored: {} } : {}),
    });
  } catch (error) {
    // A backup on a read-only medium can be verified too.
    if (!isDevstackError(error)) throw error;
  }
}

/** The services whose restore was tried and found right. */
export function verifiedServices({ restored }: SetState): string[] {
  return Object.entries(restored).flatMap(([service, { verdict }]) => (verdict === 'valid' ? [service] : []));
}
