import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadComposeProject, type ComposeModel } from '@devstack-core/compose-project';
import type { DockerEngine } from '@devstack-core/docker-engine';

const image = 'devstack/base:local';
const execute = promisify(execFile);
const server =
  "for (const port of process.argv.slice(1)) require('node:net').createServer((s) => s.end()).listen(Number(port), '0.0.0.0')";

/** A project of its own: two networks that get out (front, app), one that does not (data), and what a test puts into them. */
export class Lab implements AsyncDisposable {
  readonly project: string = `na-test-${randomBytes(4).toString('hex')}`;
  readonly prefix: string = `10.${String(randomInt(40, 120))}.${String(randomInt(0, 60) * 4)}`;
  readonly #engine: DockerEngine;
  readonly #undo: (() => Promise<unknown>)[] = [];

  constructor(engine: DockerEngine) {
    this.#engine = engine;
  }

  /** Networks with the name of the compose file's key; the third number of the address is their position. */
  async networks(
    options: Readonly<Record<string, { readonly masquerade?: boolean; readonly internal?: boolean }>>,
  ): Promise<void> {
    for (const [index, [key, { masquerade = true, internal = false }]] of Object.entries(options).entries()) {
      const name = `${this.project}_${key}`;
      const base = this.prefix.replace(/\d+$/, (last) => String(Number(last) + index));
      await this.#engine.createNetwork({
        name,
        subnet: `${base}.0/24`,
        internal,
        options: { 'com.docker.network.bridge.enable_ip_masquerade': String(masquerade) },
      });
      this.#undo.push(() => this.#engine.removeNetwork(name));
    }
  }

  /** A container of a service that listens on ports; gives its id. */
  async service(
    name: string,
    networks: readonly [string, ...string[]],
    ports: readonly number[],
    published: readonly number[] = [],
  ): Promise<string> {
    const [first, ...more] = networks;
    const id = await this.#engine.createContainer({
      name: `${this.project}-${name}`,
      image,
      argv: ['node', '-e', server, ...ports.map(String)],
      labels: { 'com.docker.compose.project': this.project, 'com.docker.compose.service': name },
      network: `${this.project}_${first}`,
      networkAliases: [name],
      user: '1000',
      ports: published.map((containerPort) => ({ containerPort })),
    });
    this.#undo.push(() => this.#engine.removeContainer(id, { force: true }));
    for (const network of more) await this.join(name, network);
    await this.#engine.startContainer(id);
    await this.#listens(id, ports);
    return id;
  }

  async join(name: string, network: string): Promise<void> {
    await execute('docker', [
      'network',
      'connect',
      '--alias',
      name,
      `${this.project}_${network}`,
      `${this.project}-${name}`,
    ]);
  }

  async leave(name: string, network: string): Promise<void> {
    await execute('docker', ['network', 'disconnect', `${this.project}_${network}`, `${this.project}-${name}`]);
  }

  /** The same as a compose file says it. */
  async model(text: string): Promise<ComposeModel> {
    const folder = await mkdtemp(join(tmpdir(), 'network-audit-'));
    this.#undo.push(() => rm(folder, { recursive: true }));
    const file = join(folder, 'compose.yaml');
    await writeFile(file, text);
    return loadComposeProject({ files: [file], env: {}, projectName: this.project });
  }

  /** A machine outside that listens and knows no way back to the containers' own addresses. */
  async outside(): Promise<{ readonly host: string; readonly port: number }> {
    const name = `na${randomBytes(3).toString('hex')}`;
    const net = `10.${String(randomInt(121, 129))}.${String(randomInt(0, 250))}`;
    await asRoot('ip', 'netns', 'add', name);
    this.#undo.push(() => asRoot('ip', 'netns', 'del', name));
    await asRoot('ip', 'link', 'add', `${name}h`, 'type', 'veth', 'peer', 'name', `${name}n`, 'netns', name);
    await asRoot('ip', 'addr', 'add', `${net}.1/30`, 'dev', `${name}h`);
    await asRoot('ip', 'link', 'set', `${name}h`, 'up');
    await asRoot('ip', '-n', name, 'addr', 'add', `${net}.2/30`, 'dev', `${name}n`);
    await asRoot('ip', '-n', name, 'link', 'set', `${name}n`, 'up');
    const program = `${server}; console.log('listening')`;
    const [command = '', ...args] = rootArgv('ip', 'netns', 'exec', name, process.execPath, '-e', program, '7500');
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#undo.push(() => ended(child));
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', () => {
        reject(new Error('the machine outside did not start'));
      });
    });
    return { host: `${net}.2`, port: 7500 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo.toReversed()) await undo();
  }

  async #listens(id: string, ports: readonly number[]): Promise<void> {
    const script = `const net = require('node:net'); const go = (p) => new Promise((ok) => { const t = () => { const s = net.connect(p, '127.0.0.1', () => { s.destroy(); ok(); }); s.on('error', () => setTimeout(t, 20)); }; t(); }); Promise.all(process.argv.slice(1).map(go));`;
    await this.#engine.exec(id, ['node', '-e', script, ...ports.map(String)], { timeoutMs: 20_000 });
  }
}

function rootArgv(...argv: readonly string[]): readonly string[] {
  return process.getuid?.() === 0 ? argv : ['sudo', '-n', ...argv];
}

async function asRoot(...argv: readonly string[]): Promise<void> {
  const [command = '', ...args] = rootArgv(...argv);
  await execute(command, args);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  child.once('exit', () => {
    resolve(undefined);
  });
  child.kill();
  await promise;
}
