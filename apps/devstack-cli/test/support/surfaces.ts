import { readFile } from 'node:fs/promises';
import type { SecretRegistry } from '@devstack-core/redaction';
import { processesOf } from '@devstack-core/vault-testing';
import { docker, program } from './programs.ts';

/** A place where a running stack shows text to others. */
export interface Surface {
  readonly kind:
    'inspect' | 'environ' | 'cmdline' | 'log' | 'image history' | 'image config' | 'command output' | 'file';
  readonly where: string;
  readonly text: string;
}

/** A secret that was found: which, in what encoding, where. Never the value. */
export interface Leak {
  readonly kind: Surface['kind'];
  readonly where: string;
  readonly secret: string;
  readonly form: string;
}

/** What anybody with the Docker socket, or root on this machine, can read of these containers and their images. */
export async function surfacesOf(containers: readonly string[]): Promise<readonly Surface[]> {
  const images = new Set(
    (await Promise.all(containers.map((one) => docker('inspect', '--format', '{{.Image}}', one)))).map((id) =>
      id.trim(),
    ),
  );
  const found = await Promise.all([...containers.map(ofContainer), ...[...images].map(ofImage)]);
  return found.flat();
}

async function ofContainer(name: string): Promise<readonly Surface[]> {
  const log = await program('sh', ['-c', 'docker logs "$0" 2>&1', name]);
  const surfaces: Surface[] = [
    { kind: 'inspect', where: name, text: await docker('inspect', name) },
    { kind: 'log', where: name, text: log },
  ];
  const first = Number(await docker('inspect', '--format', '{{.State.Pid}}', name));
  for (const pid of first === 0 ? [] : await processesOf(first)) {
    for (const kind of ['environ', 'cmdline'] as const) {
      // A health check may have ended since it was listed.
      const text = await readFile(`/proc/${String(pid)}/${kind}`, 'utf8').catch(() => undefined);
      if (text !== undefined) surfaces.push({ kind, where: `${name} pid ${String(pid)}`, text });
    }
  }
  return surfaces;
}

async function ofImage(id: string): Promise<readonly Surface[]> {
  return [
    { kind: 'image history', where: id, text: await docker('history', '--no-trunc', id) },
    { kind: 'image config', where: id, text: await docker('image', 'inspect', id) },
  ];
}

/** Every secret of the registry, in every encoding, wherever it is shown. */
export function findLeaks(registry: SecretRegistry, surfaces: readonly Surface[]): readonly Leak[] {
  return surfaces.flatMap(({ kind, where, text }) =>
    registry.find(text).map(({ label, form }) => ({ kind, where, secret: label, form })),
  );
}
