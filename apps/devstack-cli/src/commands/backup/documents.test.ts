import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generatePassphrase } from '@devstack-core/backup-crypto';
import { openBackupStore, type BackupStore, type PartRecord } from '@devstack-core/backup-store';
import { writeFileDurable } from '@devstack-core/durable-files';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishedProblem } from '../../../test/support/published-schema.ts';
import type { Arguments, Outcome } from '../../command.ts';
import type { Context } from '../../context.ts';
import { run as copy } from './copy.ts';
import { createdDocument } from './create.ts';
import { run as history } from './history.ts';
import { run as list } from './list.ts';
import { run as passphrase } from './passphrase.ts';
import { run as restore } from './restore.ts';
import { run as rotate } from './rotate.ts';
import { run as schedule } from './schedule.ts';
import { run as undelete } from './undelete.ts';

// Commands that need no stack, on a real store: what they print as JSON is what the published schema says.

let folder: string;
let store: BackupStore;
let context: Context;
const keep = { 'keep-daily': '1', 'keep-weekly': '0', 'keep-monthly': '0', 'keep-last': '0' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'documents-'));
  await mkdir(join(folder, 'drive'));
  const file = join(folder, 'passphrase');
  const secret = generatePassphrase();
  await writeFileDurable(file, new Secret(`${secret.reveal()}\n`));
  let now = new Date('2026-11-19T12:00:00Z');
  const tool = { name: 'test', version: '1' };
  store = openBackupStore({
    directory: join(folder, 'sets'),
    passphrase: secret,
    tool,
    now: () => now,
    timeZone: 'UTC',
  });
  for (const day of ['19', '20']) {
    now = new Date(`2026-11-${day}T12:00:00Z`);
    await using draft = await store.create({ project: 'devstack', kind: 'full', encrypted: true });
    await draft.add({
      service: 'postgres',
      part: 'app',
      kind: 'content',
      extension: 'sql',
      content: ReadableStream.from<Uint8Array>([Buffer.from('SELECT 1;\n')]),
    });
    draft.part(part);
    await draft.finish();
  }
  context = {
    root: folder,
    configHome: folder,
    env: { DEVSTACK_BACKUP_DIRECTORY: join(folder, 'sets'), VAULT_BACKUP_PASSPHRASE_FILE: file },
    interactive: false,
    signal: new AbortController().signal,
    onEvent: () => undefined,
    stack: () => Promise.resolve({ project: { id: 'devstack', root: folder } }),
  } as unknown as Context;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const part: PartRecord = {
  service: 'postgres',
  name: 'app',
  kind: 'postgresql-database',
  extension: 'sql',
  engine: { name: 'postgresql', version: '17', image: { name: 'x', id: 'y' } },
  consistency: 'exact',
  snapshotAt: '2026-11-20T12:00:00.000Z',
  restoreHint: [],
  fingerprintDigest: null,
};

it.each<[string, (args: Arguments, context: Context) => Promise<Outcome>, () => Arguments]>([
  ['backup list', list, () => ({})],
  ['backup restore --to', restore, () => ({ id: 'latest', to: join(folder, 'plain') })],
  ['backup copy --to', copy, () => ({ to: join(folder, 'drive') })],
  ['backup rotate --dry-run', rotate, () => ({ ...keep, 'dry-run': true })],
  ['backup rotate', rotate, () => keep],
  ['backup undelete', undelete, () => ({ id: '20261119_120000' })],
  ['backup copy --from', copy, () => ({ from: join(folder, 'drive'), directory: join(folder, 'others') })],
  ['backup schedule', schedule, () => ({ with: 'cron' })],
  ['backup passphrase', passphrase, () => ({ file: join(folder, 'fresh') })],
  ['backup history', history, () => ({})],
])('%s --json is a document of the published schema', async (_, run, args) => {
  const { data } = await run(args(), context);
  expect(publishedProblem(JSON.parse(JSON.stringify(data)))).toBeUndefined();
});

it('so is what is said of a new backup', async () => {
  const [newest] = await store.list();
  if (newest?.manifest === undefined) throw new Error('there is none');
  const created = { manifest: newest.manifest, durationMs: 1, plainBytes: 2, storedBytes: 3, unchanged: 0 };
  expect(publishedProblem(createdDocument(created, '/x', []))).toBeUndefined();
});
