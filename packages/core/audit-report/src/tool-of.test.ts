import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toolOf } from './index.ts';

let root: string;
const moduleAt = (path: string): string => pathToFileURL(join(root, path)).href;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tool-of-'));
  await mkdir(join(root, 'a package/dist/audits'), { recursive: true });
  await mkdir(join(root, 'broken/src'), { recursive: true });
  await writeFile(join(root, 'package.json'), '{ "version": "9.9.9" }');
  await writeFile(join(root, 'a package/package.json'), '{ "name": "@scope/my-audit", "version": "1.2.3" }');
  await writeFile(join(root, 'a package/dist/package.json'), '{ "type": "module" }');
  await writeFile(join(root, 'broken/src/package.json'), '{ "version": ');
  await writeFile(join(root, 'broken/package.json'), '{ "version": 7 }');
});
afterAll(() => rm(root, { recursive: true }));

describe('toolOf', () => {
  it('gives the version of the package that the module is in, past manifests that have none', () => {
    const expected = { name: 'my-audit', version: '1.2.3' };
    expect(toolOf('my-audit', moduleAt('a package/dist/audits/x.js'))).toEqual(expected);
    expect(toolOf('my-audit', moduleAt('a package/index.js'))).toEqual(expected);
  });

  it('passes by what is no manifest', () => {
    expect(toolOf('x', moduleAt('broken/src/x.ts')).version).toBe('9.9.9');
  });

  it('says 0.0.0 where there is no package, and for a module that is in no file', () => {
    expect(toolOf('x', 'file:///nowhere/at/all.js')).toEqual({ name: 'x', version: '0.0.0' });
    expect(toolOf('x', 'data:text/javascript,1').version).toBe('0.0.0');
  });
});
