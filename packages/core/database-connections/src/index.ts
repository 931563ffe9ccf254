export { DatabaseConnectionsErrorCode } from './errors.ts';
export type { Connection, ConnectionOptions, Parameter, Password, TlsOptions } from './options.ts';
export { connectPostgres, type PostgresOptions, type SqlConnection } from './postgres.ts';
export { connectMysql } from './mysql.ts';
export {
  connectMongo,
  type MongoCollection,
  type MongoConnection,
  type MongoDatabase,
  type MongoDocument,
  type MongoFindOptions,
  type MongoOptions,
} from './mongo.ts';
export type { MongoRawOptions, MongoSnapshot } from './mongo-raw.ts';
export { connectRedis, type Address, type RedisArgument, type RedisConnection, type RedisOptions } from './redis.ts';
export {
  connectAmqp,
  type AmqpConnection,
  type AmqpDelivery,
  type AmqpMessage,
  type AmqpOptions,
  type AmqpQueueOptions,
} from './amqp.ts';
