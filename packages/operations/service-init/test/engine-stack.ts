import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodedForms } from '@devstack-core/redaction';
import { processesOf, startVault, type VaultContainer } from '@devstack-core/vault-testing';

const root = resolve(import.meta.dirname, '../../../..');

/** How a container of an engine runs: the same limits as in infrastructure/compose. */
export interface EngineSpec {
  readonly service: string;
  readonly role: string;
  readonly image: string;
  readonly uid: number;
  /** Last byte of its address. */
  readonly host: number;
  /** Folder below configs/. */
  readonly config: string;
  readonly tmpfs: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly memory?: string;
  readonly hosts?: Readonly<Record<string, string>>;
  readonly volume?: boolean;
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs docker and reports how it went; nothing throws for an exit code. */
export function docker(argv: readonly string[], input = ''): Promise<CommandResult> {
  return new Promise((done, reject) => {
    const child = spawn('docker', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.on('error', () => undefined);
    child.on('error', () => {
      reject(new Error('These tests need Docker: ./scripts/setup installs it.'));
    });
    child.on('close', (code) => {
      done({ exitCode: code ?? -1, stdout, stderr });
    });
    child.stdin.end(input);
  });
}

/** A Vault with a network, in which engines are started as the stack would start them. */
export class EngineStack implements AsyncDisposable {
  readonly vault: VaultContainer;
  readonly network: string;
  readonly #prefix: string;
  readonly #id = `service-init-test-${randomBytes(4).toString('hex')}`;
  readonly #engines: Engine[] = [];

  private constructor(vault: VaultContainer, network: string, prefix: string) {
    this.vault = vault;
    this.network = network;
    this.#prefix = prefix;
  }

  static async start(): Promise<EngineStack> {
    const vault = await startVault({ network: true });
    const network = vault.network;
    if (network === undefined) throw new Error('startVault gave no network');
    const stack = new EngineStack(vault, network.name, network.subnet.replace(/\.0\/24$/, ''));
    await stack.call('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
    await stack.call('POST', 'sys/auth/approle', { type: 'approle' });
    return stack;
  }

  async call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.vault.address}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': this.vault.rootToken.reveal() },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${String(answer.status)}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async writeSecret(path: string, data: Readonly<Record<string, string>>): Promise<void> {
    await this.call('POST', `secret/data/services/${path}`, { data });
  }

  address(spec: EngineSpec): string {
    return `${this.#prefix}.${String(spec.host)}`;
  }

  /** Makes the role and delivers its files; starts nothing. */
  async prepare(spec: EngineSpec): Promise<Engine> {
    const found = await docker(['image', 'inspect', spec.image]);
    if (found.exitCode !== 0) throw new Error(`The image ${spec.image} is missing: "devstack images build" makes it.`);
    const paths = [`services/${spec.role}`, `services/${spec.role}/clients`].map(
      (path) => `path "secret/data/${path}" { capabilities = ["read"] }`,
    );
    await this.call('PUT', `sys/policies/acl/${spec.role}`, {
      policy: [...paths, 'path "auth/token/revoke-self" { capabilities = ["update"] }'].join('\n'),
    });
    await this.call('POST', `auth/approle/role/${spec.role}`, {
      token_policies: [spec.role],
      token_no_default_policy: true,
      token_ttl: '5m',
    });
    const roleId = await this.call('GET', `auth/approle/role/${spec.role}/role-id`);
    const secretId = await this.call('POST', `auth/approle/role/${spec.role}/secret-id`, {});
    const name = `${this.#id}-${spec.service}`;
    const engine = new Engine(this, spec, name);
    this.#engines.push(engine);
    await engine.deliver({
      'role-id': String((roleId['data'] as Record<string, unknown>)['role_id']),
      'secret-id': String((secretId['data'] as Record<string, unknown>)['secret_id']),
    });
    return engine;
  }

  async start(spec: EngineSpec): Promise<Engine> {
    const engine = await this.prepare(spec);
    await engine.create();
    await engine.waitHealthy();
    return engine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.#engines.toReversed()) await engine.remove();
    await this.vault.remove();
  }
}

/** One container with its volumes. */
export class Engine {
  readonly stack: EngineStack;
  readonly spec: EngineSpec;
  readonly name: string;

  constructor(stack: EngineStack, spec: EngineSpec, name: string) {
    this.stack = stack;
    this.spec = spec;
    this.name = name;
  }

  get address(): string {
    return this.stack.address(this.spec);
  }

  /** Creates the container anew (the volumes stay) and starts it. */
  async create(extra: readonly string[] = []): Promise<void> {
    const { spec } = this;
    const owner = `uid=${String(spec.uid)},gid=${String(spec.uid)},mode=0700`;
    const vault = this.stack.vault.network?.vaultAddress ?? '';
    const environment = {
      DEVSTACK_SERVICE: spec.service,
      DEVSTACK_ROLE: spec.role,
      VAULT_ADDR: `http://${vault}:8200`,
      VAULT_APPROLE_PATH: '/run/approle',
      VAULT_USE_APPROLE: 'true',
      VAULT_USE_ROOT_TOKEN: 'false',
      ...spec.env,
    };
    const result = await docker([
      'run', '-d', '--name', this.name, '--label', 'devstack.test=service-init', '--hostname', spec.service,
      '--network', this.stack.network, '--ip', this.address, '--network-alias', spec.service,
      '--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges:true',
      '--user', `${String(spec.uid)}:${String(spec.uid)}`, '--memory', spec.memory ?? '768m', '--pids-limit', '512', '--cpus', '2',
      '-v', `${resolve(root, 'configs', spec.config)}:/etc/devstack:ro`, '-v', `${this.name}-approle:/run/approle:ro`,
      ...(spec.volume === false ? [] : ['-v', `${this.name}-data:/var/lib/devstack`]),
      ...['/run/credentials', '/tmp', ...spec.tmpfs].flatMap((path) => ['--tmpfs', `${path}:${owner}`]),
      ...Object.entries(environment).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
      ...Object.entries(spec.hosts ?? {}).flatMap(([host, address]) => ['--add-host', `${host}:${address}`]),
      ...extra,
      spec.image,
    ]); // prettier-ignore
    if (result.exitCode !== 0) throw new Error(result.stderr);
  }

  /** Puts files into the volume that is mounted at /run/approle, as the command line does. */
  async deliver(files: Readonly<Record<string, string>>): Promise<void> {
    const uid = String(this.spec.uid);
    const script = `let t='';process.stdin.on('data',c=>t+=c).on('end',()=>{const fs=require('fs');for(const [n,v] of Object.entries(JSON.parse(t))){fs.writeFileSync('/v/'+n,v,{mode:0o600});fs.chownSync('/v/'+n,${uid},${uid})}fs.chownSync('/v',${uid},${uid});fs.chmodSync('/v',0o700)})`;
    const delivered = await docker(
      [
        'run',
        '--rm',
        '-i',
        '--user',
        '0',
        '-v',
        `${this.name}-approle:/v`,
        '--entrypoint',
        'node',
        this.spec.image,
        '-e',
        script,
      ],
      JSON.stringify(files),
    );
    if (delivered.exitCode !== 0) throw new Error(delivered.stderr);
  }

  /** A new container that logs in with a token of the service's own policy: the fallback of `VAULT_USE_ROOT_TOKEN`. */
  async recreateWithToken(): Promise<void> {
    const answer = await this.stack.call('POST', 'auth/token/create', {
      policies: [this.spec.role],
      ttl: '5m',
      no_default_policy: true,
    });
    await this.deliver({ token: String((answer['auth'] as Record<string, unknown>)['client_token']) });
    await docker(['rm', '-f', this.name]);
    await this.create(['-e', 'VAULT_USE_ROOT_TOKEN=true']);
    await this.waitHealthy();
  }

  /** A new container on the old volumes, as `down` and `up` make it. */
  async recreate(): Promise<void> {
    await docker(['rm', '-f', this.name]);
    await this.create();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.startAgain();
  }

  async stop(): Promise<void> {
    await docker(['stop', '-t', '20', this.name]);
  }

  async startAgain(): Promise<void> {
    await docker(['start', this.name]);
    await this.waitHealthy();
  }

  async kill(): Promise<void> {
    await docker(['kill', this.name]);
  }

  exec(argv: readonly string[], input = ''): Promise<CommandResult> {
    return docker(['exec', '-i', this.name, ...argv], input);
  }

  /** What is in the data volume, also while the container is stopped. */
  async files(): Promise<readonly string[]> {
    const argv = [
      'run',
      '--rm',
      '--user',
      '0',
      '-v',
      `${this.name}-data:/d`,
      '--entrypoint',
      'ls',
      this.spec.image,
      '-A',
      '/d',
    ];
    return (await docker(argv)).stdout.split('\n').filter((name) => name !== '');
  }

  async logs(): Promise<string> {
    const { stdout, stderr } = await docker(['logs', this.name]);
    return stdout + stderr;
  }

  async running(): Promise<boolean> {
    return (await docker(['inspect', '-f', '{{.State.Running}}', this.name])).stdout.trim() === 'true';
  }

  /** Runs the image's own health check until it passes. */
  async waitHealthy(deadlineMs = 90_000): Promise<void> {
    const end = Date.now() + deadlineMs;
    let last: CommandResult | undefined;
    while (Date.now() < end) {
      if (!(await this.running())) throw new Error(`${this.name} ended: ${(await this.logs()).slice(-3000)}`);
      last = await this.exec(['devstack-healthcheck']);
      if (last.exitCode === 0) return;
      await sleep(200);
    }
    throw new Error(`${this.name} is not healthy: ${last?.stderr ?? ''} ${(await this.logs()).slice(-3000)}`);
  }

  async waitForLog(pattern: RegExp, deadlineMs = 30_000): Promise<void> {
    const end = Date.now() + deadlineMs;
    while (Date.now() < end) {
      if (pattern.test(await this.logs())) return;
      await sleep(20);
    }
    throw new Error(`${this.name} never logged ${String(pattern)}: ${(await this.logs()).slice(-2000)}`);
  }

  /** Process ids of the container, as the machine counts them. */
  async processes(): Promise<readonly number[]> {
    const { stdout } = await docker(['inspect', '--format', '{{.State.Pid}}', this.name]);
    return processesOf(Number(stdout));
  }

  /** Everything of a running container that others can see, in one text per place. */
  async exposures(): Promise<Readonly<Record<string, string>>> {
    const inspect = (await docker(['inspect', this.name])).stdout;
    const history = (await docker(['history', '--no-trunc', this.spec.image])).stdout;
    const pids = await this.processes();
    // Read from the host as root: a process of the container cannot hide from it.
    const read = async (file: string): Promise<string> =>
      (await Promise.all(pids.map((pid) => hostFile(`/proc/${String(pid)}/${file}`)))).join('\n');
    return {
      inspect,
      history,
      logs: await this.logs(),
      environ: await read('environ'),
      cmdline: await read('cmdline'),
    };
  }

  async remove(): Promise<void> {
    await docker(['rm', '-f', '-v', this.name]);
    await docker(['volume', 'rm', '-f', `${this.name}-data`, `${this.name}-approle`]);
  }
}

function hostFile(path: string): Promise<string> {
  return new Promise((done) => {
    execFile('cat', [path], { encoding: 'utf8' }, (_error, stdout) => {
      done(stdout.replaceAll('\0', '\n'));
    });
  });
}

/** Where any form of any of these values is found: `place: form`. */
export async function findSecrets(engine: Engine, values: readonly string[]): Promise<readonly string[]> {
  const places = Object.entries(await engine.exposures());
  const forms = values.flatMap((value) => encodedForms(value).filter(({ text }) => text.length >= 6));
  return places.flatMap(([place, text]) =>
    forms.filter((form) => text.includes(form.text)).map((form) => `${place}: ${form.form}`),
  );
}

/** Passwords that break whatever quotes carelessly. */
export const oddPasswords: readonly string[] = [
  'it\'s "quoted" with spaces',
  'a:b\\c#d$e%f;g&h|i`j',
  "%(x)s ${HOME} $(id) -- /* \\' */ !",
  'Pässwörd-密码-🔑-ñ',
];
