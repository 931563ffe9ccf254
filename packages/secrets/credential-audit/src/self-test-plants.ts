import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerDetails, DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { throwIfAborted } from './collect/context.ts';
import { CredentialAuditErrorCode } from './errors.ts';
import type { HostFile } from './collect/host-files.ts';
import type { SelfTestOptions } from './self-test.ts';
import type { Surface } from './surfaces.ts';

/** Marks what a self-test made: container, image and volume. */
export const selfTestLabel = 'io.devstack.credential-audit.self-test';

const hostFileKinds = ['compose-config', 'env-file', 'shell-history', 'project-logs', 'reports', 'files'] as const;
const readyLine = 'planted';

/** One canary on each surface, and the way to take them away again. */
export class Plants {
  readonly containers: string[] = [];
  readonly files: HostFile[] = [];
  /** Surfaces whose canary could not be planted, and why. */
  readonly faults: Map<Surface, unknown> = new Map<Surface, unknown>();
  readonly #options: SelfTestOptions;
  readonly #canaries: ReadonlyMap<Surface, string>;
  readonly #name = `credential-audit-self-test-${randomBytes(4).toString('hex')}`;
  readonly #labels: Readonly<Record<string, string>> = { [selfTestLabel]: this.#name };
  readonly #undo: { readonly what: string; readonly remove: () => Promise<void> }[] = [];
  readonly #programs = new AbortController();

  constructor(options: SelfTestOptions, canaries: ReadonlyMap<Surface, string>) {
    this.#options = options;
    this.#canaries = canaries;
  }

  async plant(): Promise<void> {
    for (const kind of hostFileKinds)
      this.files.push({ kind, name: `self-test ${kind}`, text: `line one\nX=${this.#canary(kind)}\n` });
    const image = await this.#image();
    const bind = await this.#folder();
    await this.#volume(image);
    const id = await this.#container(image, bind);
    const { engine } = this.#options;
    await engine.startContainer(id);
    // It stays, so that its arguments can be inspected; the aborted connection does not end it, the removal does.
    void engine
      .exec(id, ['sh', '-c', 'sleep 600; :', this.#canary('exec')], { signal: this.#programs.signal })
      .catch(() => undefined);
    await engine.exec(id, ['sh', '-c', ':', this.#canary('events')]);
    await this.#ready(id);
  }

  /** Gives what could not be removed. */
  async remove(): Promise<readonly string[]> {
    this.#programs.abort();
    const left: string[] = [];
    for (const { what, remove } of this.#undo.toReversed()) await remove().catch(() => left.push(what));
    return left;
  }

  #canary(surface: Surface): string {
    return this.#canaries.get(surface) ?? '';
  }

  /** An image that was built badly: a secret in its configuration, another in the command of a layer. */
  async #image(): Promise<string> {
    const { engine, image } = this.#options;
    const draft = await engine.createContainer({
      image,
      name: `${this.#name}-draft`,
      labels: this.#labels,
      network: 'none',
      entrypoint: [],
      argv: ['sh', '-c', ':', this.#canary('image-history')],
    });
    this.#undo.push({
      what: `container ${this.#name}-draft`,
      remove: () => engine.removeContainer(draft, { force: true }),
    });
    const reference = `${this.#name}:test`;
    this.#undo.push({ what: `image ${reference}`, remove: () => removeImage(engine, reference) });
    await engine.commitContainer(draft, {
      repository: this.#name,
      tag: 'test',
      changes: [`ENV SELF_TEST_IMAGE=${this.#canary('image-config')}`],
    });
    return reference;
  }

  async #folder(): Promise<string | undefined> {
    try {
      const folder = await mkdtemp(join(tmpdir(), 'credential-audit-'));
      this.#undo.push({ what: folder, remove: () => rm(folder, { recursive: true, force: true }) });
      await chmod(folder, 0o755);
      await writeFile(join(folder, 'plain.txt'), this.#canary('bind-files'), { mode: 0o644 });
      await chmod(join(folder, 'plain.txt'), 0o644);
      return folder;
    } catch (error) {
      this.faults.set('bind-files', error);
      return undefined;
    }
  }

  async #volume(image: string): Promise<void> {
    const { engine } = this.#options;
    const volume = this.#name;
    await engine.ensureVolume({ name: volume, labels: this.#labels });
    this.#undo.push({ what: `volume ${volume}`, remove: () => engine.removeVolume(volume) });
    const file = (
      path: string,
      mode: number,
      content: string,
    ): Parameters<typeof engine.writeVolumeFiles>[0]['files'][0] => ({
      ...{ volume, path, mode, content },
      ...{ uid: 0, gid: 0 },
    });
    const hidden = (['logs', 'health-log', 'process-arguments', 'process-environment', 'tmpfs-files'] as const).map(
      (surface) => file(`hidden/${surface}`, 0o600, this.#canary(surface)),
    );
    const files = [file('open/everybody.txt', 0o644, this.#canary('volume-files')), ...hidden];
    await engine.writeVolumeFiles({ image, labels: this.#labels, files });
  }

  async #container(image: string, bind: string | undefined): Promise<string> {
    const { engine } = this.#options;
    // Values that belong on one surface only come from files that root alone can read.
    const script = [
      'cd /planted/hidden',
      'umask 022; cat tmpfs-files > /memory/open.txt',
      'SELF_TEST_PROCESS="$(cat process-environment)" sleep 600 &',
      `sh -c 'sleep 600; :' "$(cat process-arguments)" &`,
      `printf 'binary \\000\\377 '; cat logs; echo; echo ${readyLine}`,
      'exec sleep 600',
    ].join('\n');
    const id = await engine.createContainer({
      image,
      name: this.#name,
      labels: { ...this.#labels, 'self-test.label': this.#canary('labels') },
      user: '0:0',
      network: 'none',
      capDrop: ['ALL'],
      entrypoint: ['sh', '-c', script],
      argv: [this.#canary('arguments')],
      env: { SELF_TEST_ENVIRONMENT: this.#canary('environment') },
      workdir: `/${this.#canary('container-config')}`,
      binds: [`${this.#name}:/planted`, ...(bind === undefined ? [] : [`${bind}:/bound:ro`])],
      tmpfs: { '/memory': 'mode=755,size=1m' },
      healthcheck: { argv: ['cat', '/planted/hidden/health-log'], intervalMs: 500, timeoutMs: 5_000 },
    });
    this.#undo.push({
      what: `container ${this.#name}`,
      remove: () => engine.removeContainer(id, { force: true, volumes: true }),
    });
    this.containers.push(id);
    return id;
  }

  /** Waits until everything that the container itself plants can be seen. */
  async #ready(id: string): Promise<void> {
    const { engine, timeoutMs = 30_000, signal } = this.#options;
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      throwIfAborted(signal);
      const details = await engine.inspectContainer(id);
      const missing = [
        ...((await engine.logs(id)).includes(readyLine) ? [] : ['its log']),
        ...((details.state.health?.log.length ?? 0) > 0 ? [] : ['its health log']),
        ...(hasExec(details) ? [] : ['its exec']),
      ];
      if (missing.length === 0) return;
      if (!details.state.running || Date.now() > deadline) {
        throw new DevstackError({
          code: CredentialAuditErrorCode.selfTestNotPlanted,
          message: `The self-test's container ${details.state.running ? 'is not ready' : 'has ended'}: ${missing.join(', ')} cannot be seen.`,
          hint: `The image ${this.#options.image} needs sh, cat and sleep.`,
          details: { missing },
        });
      }
      await delay(50);
    }
  }
}

/** Removes what a self-test that was killed left behind, where it is older than ten minutes; with a name, that run's alone. */
export async function removeLeftovers(engine: DockerEngine, olderThanMs = 600_000, name?: string): Promise<void> {
  const latest = Date.now() - olderThanMs;
  const own = { labels: { [selfTestLabel]: name ?? (true as const) } };
  const isOld = ({ createdAt }: { readonly createdAt?: string }): boolean =>
    createdAt !== undefined && Date.parse(createdAt) <= latest;
  for (const { id } of (await engine.listContainers({ all: true, ...own })).filter(isOld))
    await engine.removeContainer(id, { force: true, volumes: true });
  for (const { id } of (await engine.listImages(own)).filter(isOld)) await removeImage(engine, id);
  for (const volume of (await engine.listVolumes(own)).filter(isOld)) await engine.removeVolume(volume.name);
}

async function removeImage(engine: DockerEngine, reference: string): Promise<void> {
  if ((await engine.inspectImage(reference)) !== undefined) await engine.removeImage(reference, { force: true });
}

function hasExec({ raw }: ContainerDetails): boolean {
  const ids: unknown = typeof raw === 'object' && raw !== null && 'ExecIDs' in raw ? raw.ExecIDs : undefined;
  return Array.isArray(ids) && ids.length > 0;
}
