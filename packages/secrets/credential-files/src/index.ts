export { CredentialFilesErrorCode } from './errors.ts';
export { type FieldValue } from './fields.ts';
export { renderPgpass, type PgpassEntry } from './pgpass.ts';
export { renderMyCnf, type MyCnfGroups } from './my-cnf.ts';
export { renderRedisAcl, renderRedisConf, type RedisDirectives, type RedisUser } from './redis.ts';
export {
  renderErlangCookie,
  renderRabbitmqConf,
  renderRabbitmqDefinitions,
  type RabbitmqDefinitions,
  type RabbitmqPermission,
  type RabbitmqSettings,
  type RabbitmqUser,
} from './rabbitmq.ts';
export { renderMongodConf, type MongodSettings } from './mongod.ts';
export { renderPgbouncerIni, renderPgbouncerUserlist, type PgbouncerIni, type PgbouncerUser } from './pgbouncer.ts';
export { renderAppIni, type AppIniSections } from './app-ini.ts';
export { renderNetrc, type NetrcEntry } from './netrc.ts';
export {
  writeCredentialFiles,
  type CredentialFile,
  type WriteCredentialFilesOptions,
  type WrittenCredentialFiles,
} from './write-credential-files.ts';
