import type { BackupStore, SetManifest } from '@devstack-core/backup-store';
import { defaultPolicy } from '@devstack-core/backup-rotation';
import { writeFileDurable } from '@devstack-core/durable-files';
import { DevstackError } from '@devstack-core/errors';
import { backUpStack, bytesText, physicalOf, physicalSets, type CreatedBackup } from '@devstack-core/stack-backup';
import { chosenSet, openStore } from '../../backup/store.ts';
import { targetOf } from '../../backup/target.ts';
import { listArgument, stringArgument, type Arguments, type Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';

export async function run(args: Arguments, context: Context): Promise<Outcome> {
  const stack = await context.stack();
  const encrypted = args['encrypt'] !== false;
  if (!encrypted && listArgument(args, 'recipient').length > 0)
    throw new DevstackError({
      code: 'USAGE',
      message: 'A backup without encryption has no recipients.',
      hint: 'Leave --no-encrypt or --recipient away.',
    });
  const use = encrypted ? 'new' : undefined;
  const store = await openStore(args, context, { project: stack.project.id, use });
  if (!encrypted)
    context.onEvent({
      type: 'warning',
      code: 'BACKUP_NOT_ENCRYPTED',
      text: 'This backup is not encrypted: whoever can read it has every password, and can change it unseen.',
      hint: 'Leave --no-encrypt away.',
    });
  const physical = args['physical'] === true;
  const created = await backUpStack(stack, store, {
    only: namesOf(args),
    parent: args['incremental'] === true ? await parentOf(store, physical) : undefined,
    physical,
    fingerprints: args['fingerprints'] !== false,
    encrypted,
    onEvent: context.onEvent,
    signal: context.signal,
  });
  const rotation = args['rotate'] === true ? await store.rotate(defaultPolicy) : undefined;
  const copyTo = stringArgument(args, 'copy-to');
  const copied = copyTo === undefined ? undefined : await store.copySet(created.manifest.id, targetOf(copyTo, context));
  await writeMetrics(store, stringArgument(args, 'metrics'));
  const { manifest, plainBytes, storedBytes, unchanged, durationMs } = created;
  const path = `${store.directory}/${manifest.id}`;
  const parts = manifest.parts.length;
  const seconds = durationMs / 1000;
  const cluster = clusterOf(manifest);
  const lines = [
    `Backup ${manifest.id}: ${String(parts)} parts, ${bytesText(plainBytes)} as ${bytesText(storedBytes)} on the disk${unchanged === 0 ? '' : `, ${String(unchanged)} unchanged`}, in ${seconds.toFixed(1)} s (${bytesText(plainBytes / seconds)}/s).`,
    ...(cluster === undefined ? [] : [`PostgreSQL: ${cluster.text}.`]),
    ...manifest.parts
      .filter(({ consistency }) => consistency === 'approximate')
      .map((part) => `Approximate: ${part.service} ${part.name}: ${part.consistencyReason ?? 'no reason given'}`),
    ...(rotation === undefined ? [] : [`Rotated: ${String(rotation.removed.length)} removed.`]),
    ...(copied === undefined ? [] : [`Copied to ${copyTo ?? ''}.`]),
    `It is in ${path}. How to open it without devstack: ${path}/RECOVERY.md`,
    'Next: devstack backup verify',
  ];
  return {
    data: createdDocument(created, path, rotation?.removed.map(({ id }) => id) ?? []),
    text: `${lines.join('\n')}\n`,
  };
}

/** What `--json` says of a backup. */
export function createdDocument(created: CreatedBackup, path: string, removed: readonly string[]): object {
  const { manifest, plainBytes, storedBytes, unchanged, durationMs } = created;
  return {
    schema: 'devstack/backup-create/1',
    id: manifest.id,
    path,
    kind: manifest.kind,
    encrypted: manifest.encrypted,
    recipients: (manifest.recipients ?? []).map(({ fingerprint }) => fingerprint),
    plainBytes,
    storedBytes,
    unchanged,
    durationMs,
    postgres: clusterOf(manifest)?.data ?? null,
    parts: manifest.parts.map(({ service, name, kind, engine, consistency, snapshotAt }) => ({
      service,
      name,
      kind,
      engine: engine.name,
      version: engine.version,
      consistency,
      snapshotAt,
    })),
    removed,
  };
}

// Increments of PostgreSQL follow each other, whatever sets of dumps lie between them.
async function parentOf(store: BackupStore, physical: boolean): Promise<string> {
  const [latest] = physical ? await physicalSets(store) : [];
  return latest?.manifest.id ?? chosenSet(store, undefined);
}

// What became of the cluster, and why it is no increment.
function clusterOf(manifest: SetManifest): { readonly text: string; readonly data: object } | undefined {
  const set = physicalOf(manifest);
  if (set === undefined) return undefined;
  const { link, base, wal } = set;
  const reason = String(base.metadata?.['reason'] ?? '');
  const what =
    link === 0
      ? `a full physical backup, as ${reason}`
      : `increment ${String(link)} upon the physical backup in ${manifest.parent ?? ''}`;
  const data = { kind: link === 0 ? 'full' : 'incremental', reason: link === 0 ? reason : null, link };
  return {
    text: `${what}; ${wal === undefined ? 'its log is not archived' : 'with its archived log'}`,
    data: { ...data, parent: link === 0 ? null : manifest.parent, hasLog: wal !== undefined },
  };
}

/** The services of `--only`. */
export function namesOf(args: Arguments): readonly string[] | undefined {
  return stringArgument(args, 'only')
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** For a textfile collector of Prometheus; readable by everybody, as nothing in it is secret. */
export async function writeMetrics(store: BackupStore, path: string | undefined): Promise<void> {
  if (path !== undefined) await writeFileDurable(path, await store.metrics(), { mode: 0o644 });
}
