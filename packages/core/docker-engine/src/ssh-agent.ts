import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
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
    return new SshConnection(this.#argv);
  }
}

// The end of the output is passed on only when ssh itself has ended, so that its complaint is the error and not a mere hang-up.
class SshConnection extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;

  constructor(argv: readonly string[]) {
    super();
    this.#child = spawn('ssh', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaint = '';
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-500)));
    this.#child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) this.#child.stdout.pause();
    });
    this.#child.stdin.on('error', () => undefined);
    this.#child.once('error', (error) => this.destroy(new Error(`ssh cannot be started: ${error.message}`)));
    this.#child.once('close', (code) => {
      if (code === 0) this.push(null);
      else this.destroy(new Error(`ssh exited with ${String(code)}: ${complaint.trim()}`));
    });
    // An error after the request is over has no other listener; while one runs, the HTTP client has its own.
    this.on('error', () => undefined);
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // What fails is told when ssh has ended.
    this.#child.stdin.write(chunk, encoding, () => {
      done();
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end(() => {
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#child.kill();
    done(error);
  }

  // The HTTP client treats what it gets as a TCP socket.
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    this.#child.ref();
    return this;
  }

  unref(): this {
    this.#child.unref();
    return this;
  }
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
