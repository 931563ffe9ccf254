import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../test/folder.ts';
import { openJournal } from './index.ts';

describe('a journal', () => {
  it('runs a step once, also after it was opened again', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'journal');
    const work = vi.fn(() => Promise.resolve('result'));
    {
      await using journal = await openJournal({ path });
      expect(await journal.run('first', work)).toBe('result');
      expect(await journal.run('first', work)).toBeUndefined();
    }
    await using journal = await openJournal({ path });
    expect(await journal.run('first', work)).toBeUndefined();
    expect(work).toHaveBeenCalledTimes(1);
    expect(journal.steps()).toMatchObject([{ step: 'first', state: 'done' }]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('runs a step again that began but did not end', async () => {
    await using folder = await temporaryFolder();
    await using journal = await openJournal({ path: join(folder.path, 'journal') });
    await expect(journal.run('first', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(journal.steps()).toMatchObject([{ step: 'first', state: 'begun', doneAt: undefined }]);
    expect(await journal.run('first', () => Promise.resolve(2))).toBe(2);
  });

  it('keeps what a step found out', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'journal');
    {
      await using journal = await openJournal({ path });
      await journal.begin('first');
      await journal.done('first', { port: 5432 });
    }
    await using journal = await openJournal({ path });
    expect(journal.data('first')).toEqual({ port: 5432 });
    expect(journal.data('second')).toBeUndefined();
  });

  it('loses at most the last line, wherever a crash tore it', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'journal');
    {
      await using journal = await openJournal({ path });
      for (const step of ['first', 'second', 'third']) await journal.done(step, 'ä');
    }
    const bytes = await readFile(path);
    const lastLine = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: lastLine, max: bytes.length - 1 }), async (length) => {
        await writeFile(path, bytes.subarray(0, length));
        {
          await using journal = await openJournal({ path });
          expect(journal.steps().map(({ step }) => step)).toEqual(['first', 'second']);
          await journal.done('fourth');
        }
        await using again = await openJournal({ path });
        expect(again.steps().map(({ step }) => step)).toEqual(['first', 'second', 'fourth']);
      }),
      { numRuns: 25 },
    );
  });

  it.each(['no json', '{"step":1}', '{"step":"x","at":"y","event":"other"}', 'null'])(
    'refuses a line %s that is not the last',
    async (line) => {
      await using folder = await temporaryFolder();
      const path = join(folder.path, 'journal');
      await appendFile(path, `{"step":"first","event":"done","at":"2026-01-01T00:00:00.000Z"}\n${line}\n`);
      await expect(openJournal({ path })).rejects.toMatchObject({ code: 'JOURNAL_DAMAGED', details: { line: 2 } });
    },
  );

  it('unwinds the steps, the latest first, and goes on where an unwinding stopped', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'journal');
    const undone: string[] = [];
    {
      await using journal = await openJournal({ path });
      await journal.done('first');
      await journal.done('second');
      await journal.begin('third');
      const stopped = journal.unwind(async ({ step, state }) => {
        if (step === 'second' && undone.length === 1) throw new Error('stopped');
        undone.push(`${step} ${state}`);
      });
      await expect(stopped).rejects.toThrow('stopped');
    }
    await using journal = await openJournal({ path });
    await journal.unwind(async ({ step, state }) => void undone.push(`${step} ${state}`));
    expect(undone).toEqual(['third begun', 'second done', 'first done']);
    expect(journal.steps()).toEqual([]);
  });

  it('forgets everything on reset', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'journal');
    await using journal = await openJournal({ path });
    await journal.done('first');
    await journal.reset();
    await journal.done('second');
    expect(journal.steps().map(({ step }) => step)).toEqual(['second']);
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(2);
  });

  it('keeps the order of what was recorded at once', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'journal');
    const names = Array.from({ length: 20 }, (_, index) => `step ${String(index)}`);
    {
      await using journal = await openJournal({ path });
      await Promise.all(names.map((name) => journal.done(name)));
    }
    await using journal = await openJournal({ path });
    expect(journal.steps().map(({ step }) => step)).toEqual(names);
  });

  it('says why it cannot be opened', async () => {
    await expect(openJournal({ path: '/no/such/folder/journal' })).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});
