import { spawn } from 'node:child_process';
import { Agent } from 'node:http';
import { Duplex } from 'node:stream';

/**
 * Connections to an engine behind ssh, as the docker client makes them: `ssh … docker system dial-stdio` per connection.
 * The user's ssh settings, keys and known hosts apply. Ends with `destroy()`.
 */
export class SshAgent extends Agent {
  readonly #argv: readonly string[];

  constructor(address: string) {
    super({ keepAlive: true, maxFreeSockets: 2 });
    this.#argv = sshArguments(address);
  }

  override createConnection(): Duplex {
    const child = spawn('ssh', this.#argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    const connection = Duplex.from({ readable: child.stdout, writable: child.stdin });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-500)));
    child.once('error', (error) => connection.destroy(error));
    child.once('close', (code) => {
      if (code !== 0 && !connection.destroyed)
        connection.destroy(new Error(`ssh exited with ${String(code)}: ${complaint.trim()}`));
    });
    connection.once('close', () => child.kill());
    // An error after the request is over has no other listener; while one runs, the HTTP client has its own.
    connection.on('error', () => undefined);
    // The HTTP client treats what it gets as a TCP socket.
    return Object.assign(connection, {
      setNoDelay: self,
      setKeepAlive: self,
      setTimeout: self,
      ref: self,
      unref: self,
    });
  }
}

function self(this: unknown): unknown {
  return this;
}

/** The arguments of ssh for `ssh://[user@]host[:port]`. A host that looks like an option is refused by ssh's `--`. */
export function sshArguments(address: string): readonly string[] {
  const url = new URL(address);
  return [
    ...['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=10', '-T'],
    ...(url.username === '' ? [] : ['-l', decodeURIComponent(url.username)]),
    ...(url.port === '' ? [] : ['-p', url.port]),
    '--',
    url.hostname.replace(/^\[|\]$/g, ''),
    ...['docker', 'system', 'dial-stdio'],
  ];
}
