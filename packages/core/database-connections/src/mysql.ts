import { connect, type Socket } from 'node:net';
import { isSecret } from '@devstack-core/redaction';
import { failure, type Classify, type Target } from './failure.ts';
import { Lifetime } from './lifetime.ts';
import { passwordOf, tlsOptions, type ConnectionOptions, type Parameter } from './options.ts';
import type { SqlConnection } from './postgres.ts';

/**
 * Connects to MySQL or MariaDB. Integers beyond 2^53 come back as strings. With TLS the server needs a name to verify: `host`, or
 * `tls.servername` where `host` is an address.
 */
export async function connectMysql(options: ConnectionOptions): Promise<SqlConnection> {
  const { host, port, username, database, connectTimeoutMs, commandTimeoutMs, signal } = options;
  const password = await passwordOf(options.password);
  // Through `default`: a bundle of ES modules does not give the names of a CommonJS module.
  const { default: mysql } = await import('mysql2');
  const target: Target = { engine: 'MySQL', host, port, username, password };
  const ssl = tlsOptions(options);
  // The driver verifies no name unless told, and then the one that it connects to: where that is an address, Node would take `localhost`.
  if (ssl !== undefined && ssl.servername === undefined)
    throw failure(target, 'tlsFailed', 'an address proves nothing here, give the name in its certificate (servername)');
  const secure =
    ssl === undefined
      ? {}
      : {
          ssl: { ...ssl, verifyIdentity: true },
          host: ssl.servername ?? host,
          stream: () => openSocket({ host, port }),
        };
  const lifetime = await Lifetime.open({
    target,
    classify,
    connectTimeoutMs,
    commandTimeoutMs,
    signal,
    create: (report) => {
      const connection = mysql.createConnection({
        host,
        port,
        user: username,
        password: password.reveal(),
        ...(database === undefined ? {} : { database }),
        ...secure,
        charset: 'utf8mb4',
        supportBigNumbers: true,
        connectTimeout: 2 ** 31 - 1,
      });
      connection.on('error', report);
      return connection;
    },
    login: async (connection) =>
      new Promise<void>((resolve, reject) => {
        connection.connect((error) => {
          if (error === null) resolve();
          else reject(error);
        });
      }),
    leave: async (connection) => connection.promise().end(),
    destroy: (connection) => {
      connection.destroy();
    },
  });
  return {
    query: async <Row extends object>(sql: string, parameters: readonly Parameter[] = []) =>
      lifetime.run(async (connection) => {
        const [result] =
          parameters.length === 0
            ? await connection.promise().query(sql)
            : await connection.promise().execute(sql, parameters.map(revealed));
        return (Array.isArray(result) ? result : []) as unknown as Row[];
      }, parameters),
    close: async () => lifetime.close(),
    [Symbol.asyncDispose]: async () => lifetime.close(),
  };
}

// As the driver opens its own.
function openSocket(address: { readonly host: string; readonly port: number }): Socket {
  return connect(address).setNoDelay(true).setKeepAlive(true);
}

type Bindable = string | number | bigint | boolean | null | Date | Buffer;

const refusals = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_HOST_NOT_PRIVILEGED',
  'ER_HOST_IS_BLOCKED',
]);

const classify: Classify = ({ code, message }) => {
  if (typeof code !== 'string')
    return /packet|sequence|handshake/i.test(message) ? { kind: 'protocolMismatch' } : undefined;
  if (refusals.has(code)) return { kind: 'authenticationFailed', serverCode: code, text: message };
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT' || code === 'HANDSHAKE_SSL_ERROR')
    return { kind: 'tlsFailed', text: message.split('\n')[0] ?? '' };
  if (code === 'PROTOCOL_CONNECTION_LOST') return { kind: 'lost' };
  if (
    code === 'ER_MALFORMED_PACKET' ||
    code === 'ERR_OUT_OF_RANGE' ||
    code.startsWith('ERR_BUFFER') ||
    code.startsWith('PROTOCOL_')
  )
    return { kind: 'protocolMismatch' };
  if (code.startsWith('AUTH_SWITCH')) return { kind: 'authenticationFailed', serverCode: code };
  if (code.startsWith('ER_') || code.startsWith('WARN_')) return { kind: 'database', serverCode: code, text: message };
  return undefined;
};

function revealed(parameter: Parameter): Bindable {
  if (isSecret(parameter)) return parameter.reveal();
  return parameter instanceof Uint8Array ? Buffer.from(parameter) : parameter;
}
