export { DatabaseBackupErrorCode } from './errors.ts';
export { filesSource } from './files/files-adapter.ts';
export type { FilesPlace, FilesRoot } from './files/files-place.ts';
export { compareFingerprints, serializeFingerprint } from './fingerprint.ts';
export { mariadbAdapter } from './mariadb/adapter.ts';
export type { MariadbPlace } from './mariadb/place.ts';
export { mongoAdapter } from './mongo/adapter.ts';
export type { MongoPlace } from './mongo/mongo-place.ts';
export { postgresAdapter } from './postgres/adapter.ts';
export { readPostgresArchive } from './postgres/archive-stream.ts';
export { checkPostgresDatabase } from './postgres/check.ts';
export { postgresDatabasePart, type PostgresDatabasePart } from './postgres/database-part.ts';
export { dumpPostgresDatabase, type PostgresDumpOptions } from './postgres/dump.ts';
export { postgresPhysicalAdapter, type PostgresPhysicalOptions } from './postgres/physical/adapter.ts';
export {
  baseKind as physicalBaseKind,
  manifestKind as physicalManifestKind,
  openPhysicalBackup,
  type PhysicalBackupOptions,
} from './postgres/physical/backup.ts';
export { exchangeBack, installRecovered, removeKept, type KeptCluster } from './postgres/physical/install.ts';
export { longestChain, planPhysicalBackup, type PhysicalParent, type PhysicalPlan } from './postgres/physical/plan.ts';
export {
  openRecovery,
  recover,
  recoveryPrefix,
  stageLink,
  stageWal,
  type RecoverOptions,
  type RecoveryOptions,
  type RecoveryPlace,
} from './postgres/physical/recovery.ts';
export { timelineOf } from './postgres/physical/wal-segments.ts';
export {
  setWalArchiving,
  walArchiveDirectory,
  walArchiveState,
  type WalArchiveState,
} from './postgres/physical/wal-archive.ts';
export { isWalPart, walKind as physicalWalKind, type WalPart } from './postgres/physical/wal-part.ts';
export type { PostgresPlace } from './postgres/place.ts';
export { restorePostgresDatabase, type PostgresRestoreOptions } from './postgres/restore.ts';
export { holdSnapshot, type HoldSnapshotOptions, type PostgresSnapshot } from './postgres/snapshot.ts';
export { rabbitmqAdapter } from './rabbitmq/rabbitmq-adapter.ts';
export type { RabbitmqPlace } from './rabbitmq/rabbitmq-place.ts';
export { redisAdapter } from './redis/redis-adapter.ts';
export type { RedisNode, RedisPlace } from './redis/redis-place.ts';
export { rehearser, type Rehearsal, type Rehearser } from './rehearsal.ts';
export { execSupervised, type SupervisedOptions } from './supervised-program.ts';
export { startThrowaway, sweepThrowaways, throwawayLabels, type ThrowawayContainerOptions } from './throwaway.ts';
export { volumeAdapter } from './volume/volume-adapter.ts';
export type { VolumePlace } from './volume/volume-place.ts';
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
