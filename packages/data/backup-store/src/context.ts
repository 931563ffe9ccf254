import { join } from 'node:path';
import type { Keyring } from './keyring.ts';

/** The moments of a store's work at which a kill can find it, in no particular order. */
export const storeSteps = [
  'create:locked',
  'create:folder',
  'draft:artifact',
  'draft:reference',
  'finish:sums',
  'finish:card',
  'finish:manifest',
  'finish:renamed',
  'finish:recorded',
  'rotate:planned',
  'rotate:tombstone',
  'rotate:moved',
  'rotate:recorded',
  'purge:condemned',
  'purge:removed',
  'rekey:artifact',
  'rekey:manifest',
  'rekey:texts',
  'rekey:removed',
  'copy:artifact',
  'copy:manifest',
  'fetch:artifact',
  'fetch:manifest',
  'fetch:renamed',
] as const;

/** One of these moments. */
export type StoreStep = (typeof storeSteps)[number];

/** What every part of a store works with. */
export interface StoreContext {
  readonly directory: string;
  readonly keyring: Keyring;
  /** Armored public keys that new sets are encrypted with, too. */
  readonly recipients: readonly string[];
  readonly allowUnencrypted: boolean;
  readonly tool: { readonly name: string; readonly version: string };
  readonly undoWindowMs: number;
  readonly now: () => Date;
  readonly timeZone: string;
  /** Called when the step is done and on the disk. */
  readonly step: (step: StoreStep, id: string) => Promise<void>;
}

/** Where things lie in a store's folder. */
export const layout = {
  set: (directory: string, id: string): string => join(directory, id),
  partial: (directory: string, id: string): string => join(directory, `.${id}.partial`),
  fetch: (directory: string, id: string): string => join(directory, `.${id}.fetch`),
  trash: (directory: string): string => join(directory, '.trash'),
  state: (directory: string): string => join(directory, '.store'),
  lease: (directory: string): string => join(directory, '.store', 'lease'),
  reserve: (directory: string): string => join(directory, '.store', 'reserve'),
  historyLease: (directory: string): string => join(directory, '.store', 'history-lease'),
  catalog: (directory: string): string => join(directory, '.store', 'catalog.json'),
  history: (directory: string): string => join(directory, '.store', 'history.jsonl'),
} as const;

/** The files of a set beside its artifacts. */
export const setFiles = {
  manifest: 'manifest.json',
  sums: 'SHA256SUMS',
  card: 'RECOVERY.md',
  /** In an unfinished set: when it was begun. */
  draft: '.draft.json',
  /** Pin and verifications: what is learnt of a set after it was made. */
  state: '.state.json',
} as const;
