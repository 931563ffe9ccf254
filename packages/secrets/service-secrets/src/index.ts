export {
  serviceSecretDefinitions,
  type ClientDefinition,
  type FieldDefinition,
  type SecretDefinition,
} from './definitions.ts';
export type { Engine, Grants } from './definitions.ts';
export { generateValue, type RandomBytes } from './generate.ts';
export { ensureServiceSecrets, type EnsureServiceSecretsOptions, type ServiceSecretsReport } from './ensure.ts';
export { readServiceSecret, readClients, type ClientEntry } from './read.ts';
export { rotateServiceSecret, type RotateServiceSecretOptions, type RotationReport } from './rotate.ts';
export { clientEntry, clientEntryMatches } from './client-entries.ts';
export { saslprep } from './verifiers/saslprep.ts';
export { scramSha256Verifier, verifyScramSha256, type ScramOptions } from './verifiers/scram.ts';
export { mysqlNativeHash, verifyMysqlNative } from './verifiers/mysql.ts';
export { rabbitPasswordHash, verifyRabbitPassword } from './verifiers/rabbitmq.ts';
export { redisSha256, verifyRedisSha256 } from './verifiers/redis.ts';
export { ServiceSecretsErrorCode } from './errors.ts';
