export { DatabaseBackupErrorCode } from './errors.ts';
export { filesSource } from './files/files-adapter.ts';
export type { FilesPlace, FilesRoot } from './files/files-place.ts';
export { compareFingerprints, serializeFingerprint } from './fingerprint.ts';
export { mariadbAdapter } from './mariadb/adapter.ts';
export type { MariadbPlace } from './mariadb/place.ts';
export { postgresAdapter } from './postgres/adapter.ts';
export { checkPostgresDatabase } from './postgres/check.ts';
export { postgresDatabasePart, type PostgresDatabasePart } from './postgres/database-part.ts';
export { dumpPostgresDatabase, type PostgresDumpOptions } from './postgres/dump.ts';
export type { PostgresPlace } from './postgres/place.ts';
export { restorePostgresDatabase, type PostgresRestoreOptions } from './postgres/restore.ts';
export { holdSnapshot, type HoldSnapshotOptions, type PostgresSnapshot } from './postgres/snapshot.ts';
export { redisAdapter } from './redis/redis-adapter.ts';
export type { RedisNode, RedisPlace } from './redis/redis-place.ts';
export { rehearser, type Rehearsal, type Rehearser } from './rehearsal.ts';
export { startThrowaway, sweepThrowaways, throwawayLabels, type ThrowawayContainerOptions } from './throwaway.ts';
export type {
  BackupPart,
  DriverPlace,
  EngineAdapter,
  EngineIdentity,
  Fingerprint,
  FingerprintDifference,
  FingerprintItem,
  PartDescription,
  Place,
  RestoreOptions,
  SourceOptions,
  StoredPart,
  Throwaway,
  ThrowawayOptions,
} from './types.ts';
export { volumeAdapter } from './volume/volume-adapter.ts';
export type { VolumePlace } from './volume/volume-place.ts';
