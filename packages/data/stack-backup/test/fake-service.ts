import { openBackupStore, type BackupStore } from '@devstack-core/backup-store';
import type { BackupPart, Fingerprint } from '@devstack-core/database-backup';
import { Secret } from '@devstack-core/redaction';
import type { ServiceBackup } from '../src/index.ts';

/** A store in a folder, encrypted as in real life. */
export function storeIn(directory: string, passphrase = 'correct horse battery staple 9'): BackupStore {
  const tool = { name: 'test', version: '1' };
  return openBackupStore({ directory, passphrase: new Secret(passphrase), tool });
}

export interface FakeServiceOptions {
  readonly service?: string;
  readonly engine?: string;
  readonly consistency?: 'exact' | 'approximate';
  /** Called for each chunk of content and each restore. */
  readonly onWork?: (part: string) => void;
}

/** A service that holds texts by name; `globals` is restored first, whatever the order. */
export function fakeService(held: Map<string, string>, options: FakeServiceOptions = {}): ServiceBackup {
  const { service = 'fake', engine = 'fakesql', consistency = 'exact', onWork } = options;
  const fingerprintOf = (name: string): Fingerprint => ({
    schema: 'devstack/fingerprint/1',
    items: [{ kind: 'table', name, count: held.get(name)?.length ?? 0, checksum: held.get(name) ?? '' }],
  });
  const part = (name: string): BackupPart => ({
    name,
    kind: name === 'globals' ? 'fake-globals' : 'fake-database',
    extension: 'dump',
    engine: { name: engine, version: '1', image: { name: 'fake:local', id: 'sha256:0' } },
    consistency,
    ...(consistency === 'exact' ? {} : { consistencyReason: 'it is written to' }),
    ...(name === 'globals' ? { isSecret: true, metadata: { owner: 'ada' } } : {}),
    snapshotAt: '2026-11-20T02:00:00.000Z',
    restoreHint: ['fake restore FILE'],
    fingerprint: () => Promise.resolve(fingerprintOf(name)),
    async *content() {
      await Promise.resolve();
      for (const character of held.get(name) ?? '') {
        onWork?.(name);
        yield Buffer.from(character);
      }
    },
  });
  return {
    service,
    engines: [engine],
    kinds: ['fake-globals', 'fake-database'],
    async *open() {
      await Promise.resolve();
      for (const name of held.keys()) yield part(name);
    },
    async restore({ name }, content) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk);
      onWork?.(name);
      held.set(name, Buffer.concat(chunks).toString());
    },
    fingerprint: ({ name }) => Promise.resolve(fingerprintOf(name)),
  };
}
