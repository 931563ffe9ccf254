import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ComposeModel } from '@devstack-core/compose-project';
import { DevstackError } from '@devstack-core/errors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copySources, ensureImages, imageVariables } from './images.ts';
import type { Stack } from './stack.ts';

test('what a Dockerfile takes from its context is what its image depends on', () => {
  const dockerfile = [
    'FROM base AS build',
    'COPY go.mod go.sum main.go ./',
    'COPY --from=build /out/server /usr/local/bin/',
    'COPY --chmod=0755 scripts/a.sh \\',
    '  scripts/b.sh /usr/local/bin/',
    'ADD extra.tar /x',
    '# COPY not-this /y',
    'copy lower /z',
  ].join('\n');
  expect(copySources(dockerfile)).toEqual([
    'go.mod',
    'go.sum',
    'main.go',
    'scripts/a.sh',
    'scripts/b.sh',
    'extra.tar',
    'lower',
  ]);
});

describe('the name of an image', () => {
  let root = '';
  const service = { name: 'web', image: 'devstack/web:local', imageVariable: 'DEVSTACK_WEB_IMAGE' };
  const model = (args: Record<string, string> = {}): ComposeModel =>
    ({
      services: [{ ...service, build: { context: root, dockerfile: 'Dockerfile', args } }],
    }) as unknown as ComposeModel;
  const name = async (args = {}): Promise<string | undefined> =>
    (await imageVariables(root, model(args), {}))['DEVSTACK_WEB_IMAGE'];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'devstack-images-'));
    await mkdir(join(root, 'scripts/deep'), { recursive: true });
    await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY scripts /scripts\nCOPY missing /x\n');
    await writeFile(join(root, 'scripts/deep/a.sh'), 'one');
  });
  afterEach(async () => rm(root, { recursive: true }));

  test.each([
    ['a copied file', 'scripts/deep/a.sh', 'two'],
    ['a new file in a copied folder', 'scripts/b.sh', ''],
    ['the Dockerfile', 'Dockerfile', 'FROM base\nCOPY scripts /scripts\nUSER 1\n'],
  ])('changes with %s', async (_what, file, content) => {
    const before = await name();
    expect(before).toMatch(/^devstack\/web:[0-9a-f]{12}$/);
    expect(await name()).toBe(before);
    await writeFile(join(root, file), content);
    expect(await name()).not.toBe(before);
  });

  test('changes with a build argument and not with a file that is not copied', async () => {
    const before = await name();
    await writeFile(join(root, 'README.md'), 'hello');
    expect(await name()).toBe(before);
    expect(await name({ UPSTREAM: 'x' })).not.toBe(before);
  });

  test('is the one that the user gave', async () => {
    expect(await imageVariables(root, model(), { DEVSTACK_WEB_IMAGE: 'mine' })).toEqual({});
  });
});

describe('making images', () => {
  const built = { name: 'web', image: 'devstack/web:1', build: { context: '/', dockerfile: 'Dockerfile', args: {} } };
  const pulled = { name: 'other', image: 'elsewhere/other:1' };
  const services = [built, pulled] as never[];
  const stackOf = (present: readonly string[], build: () => Promise<void>): { stack: Stack; pulls: string[] } => {
    const pulls: string[] = [];
    const engine = {
      inspectImage: (image: string) =>
        Promise.resolve(present.includes(image) ? { id: image, labels: {}, sizeBytes: 1 } : undefined),
      pullImage: (image: string, { onProgress }: { onProgress: (event: { status: string }) => void }) => {
        pulls.push(image);
        onProgress({ status: 'Downloading' });
        return Promise.resolve();
      },
    };
    const model = { service: (name: string) => (name === 'web' ? built : pulled) };
    const project = { configDirectory: '/config' };
    return {
      stack: { engine: () => Promise.resolve(engine), compose: { build }, model, project } as unknown as Stack,
      pulls,
    };
  };
  const base = 'devstack/base:local';

  test('builds ours and pulls those of others, telling what it does', async () => {
    const { stack, pulls } = stackOf([base], () => Promise.resolve());
    const told: string[] = [];
    const onEvent = (event: { type: string; text?: string }): void => void told.push(event.text ?? '');
    expect(await ensureImages(stack, services, { onEvent })).toEqual(['web', 'other']);
    expect(pulls).toEqual(['elsewhere/other:1']);
    expect(told).toEqual(['web (1/2): building', 'other (2/2): pulling elsewhere/other:1', 'other (2/2): Downloading']);
  });

  test('makes nothing where all are present, unless it is told to', async () => {
    const { stack } = stackOf([base, 'devstack/web:1', 'elsewhere/other:1'], () => Promise.resolve());
    const onEvent = (): void => undefined;
    expect(await ensureImages(stack, services, { onEvent })).toEqual([]);
    expect(await ensureImages(stack, services, { onEvent, rebuild: true })).toEqual(['web', 'other']);
  });

  test('works on two at once; the first failure ends the other and is the one that is told', async () => {
    const many = [built, pulled, { ...built, name: 'never', image: 'devstack/never:1' }];
    const begun: string[] = [];
    const build = async ({ services: [name = ''] }: { services: string[] }): Promise<void> => {
      begun.push(name);
      await expect.poll(() => begun).toContain('other');
      throw new Error('no space');
    };
    const pullImage = async (_image: string, { signal }: { signal: AbortSignal }): Promise<never> => {
      begun.push('other');
      const ended = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => {
        ended.reject(new DevstackError({ code: 'INTERRUPTED', message: 'ended', hint: '' }));
      });
      return ended.promise;
    };
    const { stack } = stackOf([base], build as never);
    const engine = async (): Promise<object> => ({ ...(await stack.engine()), pullImage });
    const model = { service: (name: string) => many.find((service) => service.name === name) };
    await expect(
      ensureImages({ ...stack, engine, model } as unknown as Stack, many as never[], { onEvent: () => undefined }),
    ).rejects.toMatchObject({ code: 'IMAGE_BUILD_FAILED', message: expect.stringContaining('of web ') as string });
    expect(begun.toSorted()).toEqual(['other', 'web']);
  });

  test('says how to get the base image, and how to see a build that failed', async () => {
    const onEvent = (): void => undefined;
    await expect(ensureImages(stackOf([], () => Promise.resolve()).stack, services, { onEvent })).rejects.toMatchObject(
      { code: 'IMAGE_MISSING' },
    );
    const { stack } = stackOf([base], () => Promise.reject(new Error('no space')));
    await expect(ensureImages(stack, services, { onEvent })).rejects.toMatchObject({
      code: 'IMAGE_BUILD_FAILED',
      hint: expect.stringContaining('build --progress plain web') as string,
    });
  });
});
