import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DockerEngine } from '@devstack-core/docker-engine';

/** Called before and after each change: throws, or kills. */
export type Tick = (point: string) => void;

/** A Docker whose volumes are folders: just as much of it as copies of volumes need. One volume may be in use by a container of nobody's. */
export function fakeDocker(folder: string, tick: Tick = () => undefined, inUse?: string): DockerEngine {
  const pathOf = (name: string): string => join(folder, name);
  const labelsOf = async (name: string): Promise<Record<string, string>> =>
    JSON.parse(await readFile(join(pathOf(name), 'labels'), 'utf8')) as Record<string, string>;
  const fake = {
    async listVolumes({ project }: { readonly project?: string } = {}) {
      const names = existsSync(folder) ? (await readdir(folder)).toSorted() : [];
      const all = await Promise.all(names.map(async (name) => ({ name, labels: await labelsOf(name) })));
      return all.filter(({ labels }) => project === undefined || labels['com.docker.compose.project'] === project);
    },
    inspectVolume: async (name: string) =>
      existsSync(pathOf(name)) ? { name, labels: await labelsOf(name) } : undefined,
    async removeVolume(name: string) {
      tick(`remove ${name}`);
      await rm(pathOf(name), { recursive: true, force: true });
      tick(`removed ${name}`);
    },
    async ensureVolume({ name, labels }: { readonly name: string; readonly labels: Readonly<Record<string, string>> }) {
      tick(`make ${name}`);
      await mkdir(pathOf(name), { recursive: true });
      await writeFile(join(pathOf(name), 'labels'), JSON.stringify(labels));
      await writeFile(join(pathOf(name), 'data'), '');
      tick(`made ${name}`);
      return { created: true };
    },
    async runEphemeral({ binds }: { readonly binds: readonly string[] }) {
      const [from = '', to = ''] = binds.map((bind) => bind.split(':')[0] ?? '');
      tick(`copy ${to}`);
      await writeFile(join(pathOf(to), 'data'), 'half');
      tick(`half of ${to}`);
      await cp(join(pathOf(from), 'data'), join(pathOf(to), 'data'));
      tick(`copied ${to}`);
      return { exitCode: 0, stdout: '', stderr: '' };
    },
    listContainers: () => Promise.resolve(inUse === undefined ? [] : [{ id: 'x' }]),
    inspectContainer: () => Promise.resolve({ name: 'browser', mounts: [{ name: inUse }] }),
  };
  return fake as unknown as DockerEngine;
}
