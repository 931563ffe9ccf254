import { mkdtemp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { forgetProject, listProjects, resolveProject } from './project.ts';

let home = '';
let checkout = '';

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'devstack-project-'));
  home = join(folder, 'config');
  checkout = join(folder, 'first');
  await mkdir(checkout);
});

async function secondCheckout(): Promise<string> {
  const path = `${checkout}-second`;
  await mkdir(path);
  return path;
}

describe('a project', () => {
  test('is named devstack, gets the default block of ports and is recorded once', async () => {
    const first = await resolveProject({ root: checkout, configHome: home });
    expect(first).toMatchObject({
      id: 'devstack',
      portOffset: 0,
      isNew: true,
      configDirectory: join(home, 'devstack'),
    });
    expect(first.subnetPrefix).toMatch(/^172\.\d+$|^10\.\d+$/);
    expect(await resolveProject({ root: checkout, configHome: home })).toMatchObject({ ...first, isNew: false });
    expect((await stat(join(home, 'projects.json'))).mode & 0o077).toBe(0);
  });

  test('of a second checkout shares neither name nor prefix nor ports with the first', async () => {
    const first = await resolveProject({ root: checkout, configHome: home });
    const second = await resolveProject({ root: await secondCheckout(), configHome: home });
    expect(second.id).not.toBe(first.id);
    expect(second.subnetPrefix).not.toBe(first.subnetPrefix);
    expect(second.portOffset).toBe(100);
    expect(second.configDirectory).not.toBe(first.configDirectory);
  });

  test('of two checkouts resolved at the same moment are two projects', async () => {
    const roots = [checkout, await secondCheckout()];
    const projects = await Promise.all(roots.map((root) => resolveProject({ root, configHome: home })));
    expect(new Set(projects.map((project) => project.id)).size).toBe(2);
    expect(new Set(projects.map((project) => project.portOffset)).size).toBe(2);
    expect(await listProjects(home)).toHaveLength(2);
  });

  test('avoids subnets that Docker networks of others use', async () => {
    const used = Array.from({ length: 12 }, (_, n) => `172.${String(20 + n)}.9.0/24`);
    const project = await resolveProject({
      root: checkout,
      configHome: home,
      usedSubnets: () => Promise.resolve(used),
    });
    expect(project.subnetPrefix).toMatch(/^10\./);
  });

  test('can be named, and an explicit prefix is kept', async () => {
    const project = await resolveProject({ root: checkout, configHome: home, id: 'mine', subnetPrefix: '10.99' });
    expect(project).toMatchObject({ id: 'mine', subnetPrefix: '10.99' });
    expect((await resolveProject({ root: checkout, configHome: home, id: 'mine' })).subnetPrefix).toBe('10.99');
  });

  test.each(['', '10', '10.256', '10.01', '172.15', '172.32', '8.8', '192.169', "10.1'; x", '10.1.0', '10.1\n'])(
    'refuses the prefix %j, and records nothing',
    async (subnetPrefix) => {
      await expect(resolveProject({ root: checkout, configHome: home, subnetPrefix })).rejects.toMatchObject({
        code: 'PROJECT_INVALID',
        hint: expect.stringContaining('172.25') as string,
      });
      expect(await listProjects(home)).toEqual([]);
    },
  );

  test('is forgotten, and its ports are free again', async () => {
    await resolveProject({ root: checkout, configHome: home });
    await forgetProject(home, 'devstack');
    expect(await listProjects(home)).toEqual([]);
    expect((await resolveProject({ root: await secondCheckout(), configHome: home })).portOffset).toBe(0);
  });

  test.each(['UPPER', 'with space', '-x', 'ümlaut', 'a'.repeat(40)])('refuses the name %j', async (id) => {
    await expect(resolveProject({ root: checkout, configHome: home, id })).rejects.toMatchObject({
      code: 'PROJECT_INVALID',
    });
  });

  test('is not guessed from a damaged record', async () => {
    await resolveProject({ root: checkout, configHome: home });
    await writeFile(join(home, 'projects.json'), '{"projects": 12');
    await expect(resolveProject({ root: checkout, configHome: home })).rejects.toMatchObject({
      code: 'PROJECT_INVALID',
    });
    expect(await readFile(join(home, 'projects.json'), 'utf8')).toBe('{"projects": 12');
  });
});
