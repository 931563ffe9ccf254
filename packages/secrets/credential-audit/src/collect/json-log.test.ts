import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readJsonLog } from './json-log.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'json-log-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Entry {
  readonly log: string;
  readonly stream: string;
}
const line = (entry: Entry): string => `${JSON.stringify({ ...entry, time: '2026-11-21T07:00:00.1Z' })}\n`;
const out = (log: string): Entry => ({ log, stream: 'stdout' });

async function read(path: string): Promise<Record<string, string>> {
  const texts: Record<string, Buffer[]> = {};
  for await (const { stream, bytes } of readJsonLog(path)) (texts[stream] ??= []).push(Buffer.from(bytes));
  return Object.fromEntries(
    Object.entries(texts).map(([stream, list]) => [stream, Buffer.concat(list).toString('utf8')]),
  );
}

describe('a log of json-file', () => {
  it('gives back what was written, whatever it was', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('plain\n', '\\n', '"', '\\', 'a\\\n', '\n', '', '<&>\u2028'),
    );
    const entries = fc.array(fc.record({ log: text, stream: fc.constantFrom('stdout', 'stderr') }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(entries, async (written) => {
        const path = join(folder, 'any.log');
        await writeFile(path, written.map(line).join(''));
        const of = (stream: string): string =>
          written
            .filter((one) => one.stream === stream)
            .map(({ log }) => log)
            .join('');
        const found = await read(path);
        expect([found['stdout'] ?? '', found['stderr'] ?? '']).toEqual([of('stdout'), of('stderr')]);
      }),
      { numRuns: 200 },
    );
  });

  it('is read over the ends of blocks, rotated files first, without an entry that is only half written', async () => {
    const path = join(folder, 'big.log');
    const many = Array.from({ length: 30_000 }, (_, index) => `line ${String(index)} ${'x'.repeat(index % 90)}\n`);
    await writeFile(path, many.map((log) => line(out(log))).join(''));
    await writeFile(`${path}.1`, line(out('second\n')));
    await writeFile(`${path}.2`, line(out('first ')));
    await appendFile(path, '{"log":"half');
    expect((await read(path))['stdout']).toBe(`first second\n${many.join('')}`);
  });

  it.each([
    ['compressed', 'gz.log', line(out('x')), '.1.gz'],
    ['of another format', 'other.log', '{"msg":"x"}\n', undefined],
    ['without a stream', 'none.log', '{"log":"x\\n","time":"x"}\n', undefined],
    ['that is broken off', 'broken.log', '{"log":"x\n', undefined],
  ])('throws for one %s', async (_what, name, content, other) => {
    const path = join(folder, name);
    await writeFile(path, content);
    if (other !== undefined) await writeFile(path + other, '');
    await expect(read(path)).rejects.toThrow();
  });

  it('throws where there is none', async () => {
    await expect(read(join(folder, 'missing.log'))).rejects.toThrow('ENOENT');
  });
});
