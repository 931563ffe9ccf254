import { randomBytes, randomInt } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Secret } from '@devstack-core/redaction';
import { docker, dockerLogs, dockerWithInput } from './docker.ts';

export interface StartVaultOptions {
  /** Default `inmem`, which is the fastest; only `raft` survives a restart and has snapshots. */
  readonly storage?: 'inmem' | 'raft';
  /** `new` is not initialised, `sealed` is but stays sealed. Default `ready`. */
  readonly state?: 'new' | 'sealed' | 'ready';
  /** Vault's own development certificate, for localhost. Always `inmem` and `ready`, without an audit log, KV on at `secret`. */
  readonly tls?: boolean;
  /** Default 1 and 1. */
  readonly shares?: number;
  readonly threshold?: number;
  /** Makes a network of its own, so that a call can come from any address of it. */
  readonly network?: boolean;
  /** Puts the data on a tmpfs of this size: a disk that gets full. */
  readonly dataSizeMegabytes?: number;
  /** Writes the audit log to /vault/audit/audit.log. Default true where the state is `ready`. */
  readonly audit?: boolean;
  /** Runs the server as the stack does: this folder as /vault/config, a read-only root, no capability, uid 8200; data and audit log on tmpfs. */
  readonly configDirectory?: string;
  readonly image?: string;
}

/** A line of the audit log, as far as tests read it. */
export interface AuditEntry {
  readonly type: 'request' | 'response';
  readonly auth?: { readonly display_name?: string; readonly policies?: readonly string[]; readonly accessor?: string };
  readonly request: { readonly operation: string; readonly path: string; readonly remote_address?: string };
  readonly error?: string;
}

/** A Vault of its own. `await using` removes it with everything it made. */
export interface VaultContainer extends AsyncDisposable {
  readonly name: string;
  /** As the host sees it: the same after a restart. */
  readonly address: string;
  readonly port: number;
  /** What `createVaultClient` takes, with the root token once there is one. */
  readonly clientOptions: { readonly address: string; readonly token?: Secret; readonly ca?: string };
  /** Empty while the state is `new`. */
  readonly rootToken: Secret;
  readonly unsealKeys: readonly Secret[];
  readonly ca: string | undefined;
  /** With `network: true`. */
  readonly network:
    | { readonly name: string; readonly subnet: string; readonly gateway: string; readonly vaultAddress: string }
    | undefined;
  /** Sends one request from a container with this address in the network. */
  requestFrom(
    address: string,
    request: { readonly method: string; readonly path: string; readonly body?: unknown; readonly token?: string },
  ): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Everything in the audit log so far. */
  auditLog(): Promise<AuditEntry[]>;
  auditText(): Promise<string>;
  logs(): Promise<string>;
  unseal(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  pause(): Promise<void>;
  unpause(): Promise<void>;
  exec(...argv: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

/** Starts a real Vault on a free port of 127.0.0.1. */
export async function startVault(options: StartVaultOptions = {}): Promise<VaultContainer> {
  const name = `vault-testing-${randomBytes(6).toString('hex')}`;
  const image = options.image ?? 'devstack/vault:local';
  const directory = await mkdtemp(join(tmpdir(), 'vault-testing-'));
  const network = options.network === true ? await createNetwork(name) : undefined;
  const remove = async (): Promise<void> => {
    await docker('rm', '-f', '-v', name).catch(() => undefined);
    if (network !== undefined) await docker('network', 'rm', network.name).catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  };

  try {
    await chmod(directory, 0o755);
    await writeFile(join(directory, 'vault.json'), JSON.stringify(configuration(options.storage ?? 'inmem')), {
      mode: 0o644,
    });
    const port = await freePort();
    const devToken = randomBytes(16).toString('hex');
    await docker(
      'run', '-d', '--name', name, '--label', 'devstack.test=vault-testing', '-p', `127.0.0.1:${String(port)}:8200`,
      '-v', `${options.configDirectory ?? directory}:/vault/config:ro`,
      ...(options.configDirectory === undefined ? [] : asInTheStack),
      ...(network === undefined ? [] : ['--network', network.name, '--ip', network.vaultAddress]),
      ...(options.dataSizeMegabytes === undefined ? [] : ['--tmpfs', `/vault/data:size=${String(options.dataSizeMegabytes)}m,uid=8200,gid=8200,mode=0700`]),
      ...(options.tls === true ? ['-e', `VAULT_DEV_ROOT_TOKEN_ID=${devToken}`, '-e', 'HOME=/vault/data'] : []),
      image,
      ...(options.tls === true
        ? ['server', '-dev-tls', '-dev-listen-address=0.0.0.0:8200', '-dev-tls-cert-dir=/vault/data', '-dev-tls-san=localhost']
        : options.configDirectory === undefined
          ? ['server', '-config=/vault/config']
          : ['server', '-config=/vault/config/vault.hcl', '-config=/vault/config/listeners/false.hcl']),
    ); // prettier-ignore
    const vault = new RunningVault({ name, port, image, network, remove, directory, tls: options.tls === true });
    if (options.tls === true) {
      vault.rootToken = new Secret(devToken);
      await vault.waitForCertificate();
      return vault;
    }
    await vault.waitForAnswer();
    const state = options.state ?? 'ready';
    if (state !== 'new') await vault.initialize(options.shares ?? 1, options.threshold ?? 1);
    if (state === 'ready') {
      await vault.unseal();
      if (options.audit !== false) {
        await vault.call('POST', 'sys/audit/file', { type: 'file', options: { file_path: '/vault/audit/audit.log' } });
      }
    }
    return vault;
  } catch (error) {
    const logs = await dockerLogs(name).catch(() => '');
    await remove();
    throw new Error(`The throw-away Vault did not start. ${logs}`, { cause: error });
  }
}

interface Parts {
  readonly name: string;
  readonly port: number;
  readonly image: string;
  readonly network: NonNullable<VaultContainer['network']> | undefined;
  readonly remove: () => Promise<void>;
  readonly directory: string;
  readonly tls: boolean;
}

class RunningVault implements VaultContainer {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly network: VaultContainer['network'];
  readonly #parts: Parts;
  rootToken: Secret = new Secret('');
  unsealKeys: readonly Secret[] = [];
  ca: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.name = parts.name;
    this.port = parts.port;
    this.network = parts.network;
    this.address = parts.tls ? `https://localhost:${String(parts.port)}` : `http://127.0.0.1:${String(parts.port)}`;
  }

  get clientOptions(): { address: string; token?: Secret; ca?: string } {
    return {
      address: this.address,
      ...(this.rootToken.reveal() === '' ? {} : { token: this.rootToken }),
      ...(this.ca === undefined ? {} : { ca: this.ca }),
    };
  }

  async call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.address}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': this.rootToken.reveal() },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${String(answer.status)} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async initialize(shares: number, threshold: number): Promise<void> {
    const result = await this.call('POST', 'sys/init', { secret_shares: shares, secret_threshold: threshold });
    this.unsealKeys = (result['keys'] as string[]).map((key) => new Secret(key));
    this.rootToken = new Secret(result['root_token'] as string);
  }

  async unseal(): Promise<void> {
    for (const key of this.unsealKeys) {
      const { sealed } = await this.call('POST', 'sys/unseal', { key: key.reveal() });
      if (sealed === false) break;
    }
    // A raft node is a standby until it has elected itself.
    await until('Vault is active', async () => (await fetch(`${this.address}/v1/sys/health`)).status === 200);
  }

  async waitForAnswer(): Promise<void> {
    await until('Vault answers', async () => (await fetch(`${this.address}/v1/sys/seal-status`)).ok);
  }

  async waitForCertificate(): Promise<void> {
    await until('the certificate is there', async () => {
      this.ca = await this.exec('cat', '/vault/data/vault-ca.pem');
      return this.ca.includes('END CERTIFICATE') && (await this.logs()).includes('Root Token:');
    });
  }

  async requestFrom(
    address: string,
    request: { readonly method: string; readonly path: string; readonly body?: unknown; readonly token?: string },
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    if (this.network === undefined) throw new Error('startVault was not given network: true');
    const url = `http://${this.network.vaultAddress}:8200/v1/${request.path}`;
    const output = await dockerWithInput(
      JSON.stringify({ url, ...request }),
      'run', '--rm', '-i', '--network', this.network.name, '--ip', address, '--entrypoint', 'node', this.#parts.image, '-e', requestScript,
    ); // prettier-ignore
    return JSON.parse(output) as { status: number; body: unknown };
  }

  async auditText(): Promise<string> {
    return this.exec('cat', '/vault/audit/audit.log');
  }

  async auditLog(): Promise<AuditEntry[]> {
    const lines = (await this.auditText()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as AuditEntry);
  }

  logs(): Promise<string> {
    return dockerLogs(this.name);
  }

  exec(...argv: readonly string[]): Promise<string> {
    return docker('exec', this.name, ...argv);
  }

  async restart(): Promise<void> {
    await docker('restart', '-t', '5', this.name);
    await this.waitForAnswer();
  }

  async stop(): Promise<void> {
    await docker('stop', '-t', '5', this.name);
  }

  async start(): Promise<void> {
    await docker('start', this.name);
    await this.waitForAnswer();
  }

  async pause(): Promise<void> {
    await docker('pause', this.name);
  }

  async unpause(): Promise<void> {
    await docker('unpause', this.name);
  }

  remove(): Promise<void> {
    return this.#parts.remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }
}

const requestScript = `
let text = ''; process.stdin.on('data', (chunk) => text += chunk).on('end', async () => {
  const { url, method, body, token } = JSON.parse(text);
  const answer = await fetch(url, { method, headers: token ? { 'x-vault-token': token } : {}, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const content = await answer.text();
  process.stdout.write(JSON.stringify({ status: answer.status, body: content === '' ? null : JSON.parse(content) }));
});`;

const asInTheStack: readonly string[] = [
  '--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--user', '8200:8200',
  '--tmpfs', '/vault/data:uid=8200,gid=8200,mode=0700', '--tmpfs', '/vault/audit:uid=8200,gid=8200,mode=0700',
]; // prettier-ignore

function configuration(storage: 'inmem' | 'raft'): object {
  return {
    storage:
      storage === 'raft'
        ? { raft: { path: '/vault/data', node_id: 'vault', performance_multiplier: '1' } }
        : { inmem: {} },
    listener: { tcp: { address: '0.0.0.0:8200', tls_disable: true } },
    api_addr: 'http://127.0.0.1:8200',
    cluster_addr: 'http://127.0.0.1:8201',
    disable_mlock: true,
    ui: false,
  };
}

async function createNetwork(name: string): Promise<NonNullable<VaultContainer['network']>> {
  for (let attempt = 1; ; attempt++) {
    const prefix = `10.${String(randomInt(128, 255))}.${String(randomInt(0, 256))}`;
    try {
      await docker(
        'network',
        'create',
        '--subnet',
        `${prefix}.0/24`,
        '--gateway',
        `${prefix}.1`,
        '--label',
        'devstack.test=vault-testing',
        name,
      );
      return { name, subnet: `${prefix}.0/24`, gateway: `${prefix}.1`, vaultAddress: `${prefix}.10` };
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  });
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      if (await check()) return;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  }
  throw new Error(`Waited 30 s until ${what}.`, { cause: last });
}
