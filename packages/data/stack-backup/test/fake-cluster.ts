import {
  physicalBaseKind,
  physicalManifestKind,
  physicalWalKind,
  type BackupPart,
} from '@devstack-core/database-backup';
import type { ServiceBackup } from '../src/index.ts';

export interface FakeClusterOptions {
  readonly link?: number;
  readonly chain?: string;
  readonly timeline?: number;
  readonly system?: string;
  /** The `manifest` of the link below. */
  readonly parentManifest?: string;
  /** When the backup was complete. */
  readonly endedAt: string;
  /** Up to when it holds the log; without one unless given. */
  readonly logTo?: string;
  readonly released?: string[];
}

/** Parts as a physical backup of PostgreSQL gives them, without their content. */
export function fakeCluster(options: FakeClusterOptions): Pick<ServiceBackup, 'service' | 'open'> {
  const { link = 0, chain = 'c', timeline = 1, system = '7', endedAt, logTo, parentManifest, released = [] } = options;
  const part = (name: string, kind: string, snapshotAt: string, metadata: BackupPart['metadata']): BackupPart => ({
    name,
    kind,
    extension: kind === physicalManifestKind ? 'json' : 'tar',
    engine: { name: 'postgresql', version: '17', image: { name: 'fake:local', id: 'sha256:0' } },
    consistency: 'approximate',
    consistencyReason: 'it is written to',
    snapshotAt,
    ...(metadata === undefined ? {} : { metadata }),
    restoreHint: [],
    fingerprint: () => Promise.resolve({ schema: 'devstack/fingerprint/1', items: [] }),
    async *content() {
      await Promise.resolve();
      yield Buffer.from(`${name} of link ${String(link)}`);
    },
  });
  return {
    service: 'postgres',
    async *open() {
      await Promise.resolve();
      const below = parentManifest === undefined ? {} : { parentManifest };
      yield part('cluster', physicalBaseKind, endedAt, { chain, link, superuser: 'ada', ...below });
      yield part('cluster-manifest', physicalManifestKind, endedAt, {
        chain,
        link,
        manifest: `${chain}-${String(link)}`,
        systemIdentifier: system,
        timeline,
      });
      if (logTo === undefined) return;
      const last = `${timeline.toString(16).padStart(8, '0')}${'0'.repeat(15)}9`;
      const release = (): Promise<void> => Promise.resolve(void released.push(logTo));
      yield Object.assign(part('wal', physicalWalKind, logTo, { segmentBytes: 16_777_216, last }), { release });
    },
  };
}
