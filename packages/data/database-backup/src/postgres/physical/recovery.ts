import { setTimeout as delay } from 'node:timers/promises';
import { abortReason } from '@devstack-core/errors';
import { startThrowaway } from '../../throwaway.ts';
import type { Throwaway, ThrowawayOptions } from '../../types.ts';
import { collect } from '../collect.ts';
import { failure, refusal } from '../failure.ts';
import type { PostgresPlace } from '../place.ts';
import { openSession } from '../session.ts';
import { settingArguments, throwawayFolders, throwawaySettings, throwawaySocket } from '../throwaway.ts';
import { readBackupManifest } from './backup-manifest.ts';
import { isSegment, missingSegment, segmentOf, timelineOf } from './wal-segments.ts';

/** A container in which a cluster is put together from its backups and started. */
export interface RecoveryPlace extends PostgresPlace {
  /** The folder for it. */
  readonly root: string;
  readonly isThrowaway: boolean;
}

export interface RecoveryOptions extends ThrowawayOptions {
  /**
   * Put it together in a folder of this volume, which stays, and which nobody else recovers on; its name begins with `recoveryPrefix`. In the
   * container itself unless given.
   */
  readonly volume?: { readonly name: string; readonly folder: string };
}

/** What the folders of recoveries on a volume are called. */
export const recoveryPrefix = '.restore-';

const unfinished = 'unfinished';

/** No server runs in it yet. What a recovery that was killed has left on the volume goes; a cluster that was exchanged never does. */
export async function openRecovery(options: RecoveryOptions): Promise<Throwaway<RecoveryPlace>> {
  const { docker, volume } = options;
  const root = volume === undefined ? '/var/tmp/devstack-backup' : `/recovery/${volume.folder}`;
  const container = await startThrowaway({
    ...options,
    what: 'PostgreSQL',
    // Reaps what is left to it: the server is started by a program that ends.
    argv: [
      'sh',
      '-c',
      [
        'umask 077',
        `for old in /recovery/${recoveryPrefix}*/${unfinished}; do [ ! -e "$old" ] || rm -rf "\${old%/*}"; done`,
        `mkdir -p "$1" && : > "$1/${unfinished}"`,
        'mkdir -p "$1/links" "$1/wal" "$1/history" "$1/manifests"',
        'trap "exit 0" TERM INT; while :; do sleep 3600 & wait; done',
      ].join('\n'),
      'sh',
      root,
    ],
    user: 'postgres',
    tmpfs: throwawayFolders,
    memoryBytes: 2 * 1024 ** 3,
    ...(volume === undefined ? {} : { binds: [`${volume.name}:/recovery`] }),
    ready: async (id) => (await docker.exec(id, ['test', '-d', `${root}/manifests`])).exitCode === 0,
  });
  const remove = async (): Promise<void> => {
    if (volume !== undefined)
      await docker
        .exec(container.id, [
          'sh',
          '-c',
          `[ ! -e "$1/${unfinished}" ] || { pg_ctl stop --mode=immediate --pgdata="$1/data" >/dev/null 2>&1; rm -rf "$1"; }`,
          'sh',
          root,
        ])
        .catch(() => undefined);
    await container.remove();
  };
  return {
    docker,
    container: container.id,
    // Not known before the backup is: its own first superuser.
    username: 'postgres',
    password: undefined,
    scratch: '/run/credentials',
    host: throwawaySocket,
    root,
    isThrowaway: volume === undefined,
    [Symbol.asyncDispose]: remove,
  };
}

/** From here on what is in the folder may be a cluster that was in use: nobody clears it away. */
export async function markFinished(place: RecoveryPlace): Promise<void> {
  const script = `rm -f "$1/${unfinished}" && sync "$1"`;
  await runIn(place, ['sh', '-c', script, 'sh', place.root], 'Finishing the recovery');
}

/** It is no such cluster after all. */
export async function markUnfinished(place: RecoveryPlace): Promise<void> {
  await place.docker.exec(place.container, ['touch', `${place.root}/${unfinished}`]);
}

/** Unpacks one link of the chain and checks every file of it against its manifest. Throws RESTORE_FAILED. */
export async function stageLink(
  place: RecoveryPlace,
  link: number,
  content: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const folder = `${place.root}/links/${String(link)}`;
  await unpack(place, folder, content, signal);
  await runIn(
    place,
    ['pg_verifybackup', '--exit-on-error', '--quiet', folder],
    `Link ${String(link)} of the chain`,
    signal,
  );
  await runIn(
    place,
    ['cp', `${folder}/backup_manifest`, `${place.root}/manifests/${String(link)}`],
    'Its manifest',
    signal,
  );
}

/** Adds segments of the write-ahead log. */
export async function stageWal(
  place: RecoveryPlace,
  content: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  await unpack(place, `${place.root}/wal`, content, signal);
}

async function unpack(
  place: RecoveryPlace,
  folder: string,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const program = await place.docker.execStream(
    place.container,
    [
      'sh',
      '-c',
      'umask 077; mkdir -p "$1" && tar --extract --no-same-owner --no-same-permissions --directory="$1"',
      'sh',
      folder,
    ],
    { stdin: content, ...(signal === undefined ? {} : { signal }) },
  );
  await collect(program.stdout);
  const { exitCode, stderr } = await program.ended;
  if (exitCode !== 0) throw failure('restore', 'Unpacking the physical backup', exitCode, `error: ${stderr}`);
}

export interface RecoverOptions {
  /** The first superuser of the cluster, as the metadata of its parts says. */
  readonly superuser: string;
  /** Go on with the archived log to this moment, or to a named restore point; to its end unless given. */
  readonly target?: { readonly time: Date } | { readonly name: string };
  /** As the metadata of the log says. */
  readonly segmentBytes?: number;
  /** The highest timeline that is known of this cluster anywhere: on a volume the new one is higher than it, and than all that are on the volume. */
  readonly highestTimeline?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Combines the links, checks the result, starts a server on it, goes on with the archived log as far as asked, and ends the recovery. Gives
 * the place to ask. Throws RESTORE_FAILED.
 */
export async function recover(place: RecoveryPlace, options: RecoverOptions): Promise<PostgresPlace> {
  const { root } = place;
  const { signal, superuser, target } = options;
  const links = await numbersIn(place, `${root}/links`);
  if (links.length === 0 || links.some((link, index) => link !== index))
    throw refusal(
      'restore',
      `The chain of physical backups is not whole: there are links ${links.join(', ') || '(none)'}.`,
      'A chain begins with a full backup, link 0, and none may be missing.',
    );
  await refuseWrongChain(place, links.length);
  const hasWal = await refuseGap(place, links.length - 1, options.segmentBytes);
  if (!place.isThrowaway) await reserveTimelines(place, links.length - 1, options.highestTimeline ?? 0);
  if (target !== undefined && !hasWal)
    throw refusal(
      'restore',
      'There is no archived write-ahead log to go on to a later moment with.',
      'Archiving must have been on: devstack backup create takes the log along then.',
    );
  const folders = links.map((link) => `${root}/links/${String(link)}`);
  const [only = ''] = folders;
  if (folders.length === 1) await runIn(place, ['mv', only, `${root}/data`], 'The full backup', signal);
  else {
    await runIn(
      place,
      ['pg_combinebackup', '--manifest-checksums=SHA256', `--output=${root}/data`, ...folders],
      'Combining the chain',
      signal,
    );
    await runIn(
      place,
      ['pg_verifybackup', '--exit-on-error', '--quiet', `${root}/data`],
      'The combined backup',
      signal,
    );
    await runIn(place, ['rm', '-rf', ...folders], 'The links', signal);
  }
  const server = { ...place, username: superuser };
  // What goes on from here must never be taken for what was written before: it gets a timeline of its own.
  await start(server, hasWal || !place.isThrowaway ? recoverySettings(root, target) : {}, signal);
  await waitUntilRecovered(server, signal);
  const { docker, container, password, scratch, host } = server;
  return { docker, container, username: superuser, password, scratch, ...(host === undefined ? {} : { host }) };
}

async function numbersIn(place: RecoveryPlace, folder: string): Promise<readonly number[]> {
  const { stdout } = await place.docker.exec(place.container, ['ls', '-1', folder]);
  return stdout
    .split('\n')
    .filter((line) => /^\d+$/.test(line))
    .map(Number)
    .sort((a, b) => a - b);
}

// pg_combinebackup looks at positions in the log only; the manifests name the cluster.
async function refuseWrongChain(place: RecoveryPlace, length: number): Promise<void> {
  const systems = new Set<string>();
  for (let link = 0; link < length; link += 1) {
    const manifest = readBackupManifest(await readManifest(place, link));
    if (manifest === undefined) throw refusal('restore', `The manifest of link ${String(link)} is damaged.`);
    systems.add(manifest.systemIdentifier);
  }
  if (systems.size > 1) throw refusal('restore', 'The links of the chain are of different clusters.');
}

export async function readManifest(place: RecoveryPlace, link: number): Promise<Uint8Array> {
  const { exitCode, stdout } = await place.docker.exec(place.container, [
    'cat',
    `${place.root}/manifests/${String(link)}`,
  ]);
  if (exitCode !== 0) throw refusal('restore', `Link ${String(link)} of the chain is not there.`);
  return Buffer.from(stdout, 'utf8');
}

// PostgreSQL takes the end of what it finds for the end of all, and starts.
async function refuseGap(place: RecoveryPlace, last: number, segmentBytes = 16 * 1024 ** 2): Promise<boolean> {
  const { stdout } = await place.docker.exec(place.container, ['ls', '-1', `${place.root}/wal`]);
  const manifest = readBackupManifest(await readManifest(place, last));
  if (manifest === undefined) return false;
  // What was written after an earlier restore, or before it and left out by it, is another history.
  const names = stdout.split('\n').filter((line) => isSegment(line) && timelineOf(line) === manifest.timeline);
  if (names.length === 0) return false;
  const missing = missingSegment(names, segmentOf(manifest.timeline, manifest.endLsn, segmentBytes), segmentBytes);
  if (missing !== undefined)
    throw refusal(
      'restore',
      `The archived write-ahead log has a gap: segment ${missing} is missing.`,
      'Restore to a moment before it, with the sets up to then only.',
    );
  return true;
}

// A promotion takes the first number whose history cannot be found: empty ones stand for what lies elsewhere. None of them is read, as only
// those above the backup's own are made.
async function reserveTimelines(place: RecoveryPlace, last: number, highest: number): Promise<void> {
  const { stdout } = await place.docker.exec(place.container, [
    'sh',
    '-c',
    'ls -1 "$1/../data/pg_wal" "$1/../wal-archive" 2>/dev/null || :',
    'sh',
    place.root,
  ]);
  const own = readBackupManifest(await readManifest(place, last))?.timeline ?? 0;
  const known = Math.max(highest, ...stdout.split('\n').map((name) => timelineOf(name) ?? 0));
  const names = Array.from({ length: Math.max(0, known - own) }, (_, index) =>
    (own + index + 1).toString(16).toUpperCase().padStart(8, '0').concat('.history'),
  );
  if (names.length > 0)
    await runIn(
      place,
      ['sh', '-c', 'cd "$1/history" && shift && touch -- "$@"', 'sh', place.root, ...names],
      'Reserving timelines',
    );
}

function recoverySettings(root: string, target: RecoverOptions['target']): Readonly<Record<string, string>> {
  const time = target !== undefined && 'time' in target ? target.time : undefined;
  const name = target !== undefined && 'name' in target ? target.name : undefined;
  return {
    restore_command: `cp "${root}/wal/%f" "%p" || cp "${root}/history/%f" "%p"`,
    recovery_target_action: 'promote',
    recovery_target_timeline: 'current',
    // Of what an earlier recovery may have left in the cluster's own settings. The one that counts comes last: after it the server takes even
    // an empty one for a second target.
    recovery_target: '',
    ...(time === undefined ? { recovery_target_time: '' } : {}),
    ...(name === undefined ? { recovery_target_name: '' } : {}),
    // Names of time zones, Z among them, are not known that early.
    ...(time === undefined ? {} : { recovery_target_time: time.toISOString().replace('Z', '+00') }),
    ...(name === undefined ? {} : { recovery_target_name: name }),
  };
}

async function start(
  place: RecoveryPlace,
  recovery: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { root } = place;
  const settings: Readonly<Record<string, string>> = {
    ...throwawaySettings,
    ...(place.isThrowaway ? {} : { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' }),
    hba_file: `${root}/pg_hba.conf`,
    archive_mode: 'off',
    // Otherwise its limits would have to be those of the server that was backed up.
    hot_standby: 'off',
    ssl: 'off',
    summarize_wal: 'off',
    ...recovery,
  };
  const script = [
    'umask 077',
    'root="$1"; shift',
    'echo "local all all trust" > "$root/pg_hba.conf"',
    Object.keys(recovery).length > 0 ? 'touch "$root/data/recovery.signal"' : ':',
    'postgres -D "$root/data" "$@" > "$root/log" 2>&1 < /dev/null & pid=$!',
    `until pg_isready -q -h ${throwawaySocket}; do kill -0 $pid 2>/dev/null || { grep -E "FATAL|PANIC" "$root/log" | tail -n 3 >&2; exit 1; }; sleep 0.2; done`,
  ].join('\n');
  await runIn(place, ['sh', '-c', script, 'sh', root, ...settingArguments(settings)], 'The recovery', signal);
}

async function waitUntilRecovered(place: PostgresPlace, signal: AbortSignal | undefined): Promise<void> {
  await using session = await openSession(place, 'postgres', { purpose: 'restore', signal });
  for (;;) {
    const [row] = await session.query('SELECT pg_is_in_recovery() AS is_under_way');
    if (row?.['is_under_way'] === false) return;
    const aborted = abortReason(signal, 'The recovery');
    if (aborted !== undefined) throw aborted;
    await delay(100, undefined, { signal }).catch(() => undefined);
  }
}

/** Runs a program to its end. Throws RESTORE_FAILED with its own words. */
export async function runIn(
  place: RecoveryPlace,
  argv: readonly [string, ...string[]],
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  const { exitCode, stderr } = await place.docker.exec(place.container, argv, signal === undefined ? {} : { signal });
  if (exitCode !== 0) throw failure('restore', what, exitCode, stderr);
}
