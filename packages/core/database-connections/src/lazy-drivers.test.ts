import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const loadedAfter = async (code: string): Promise<readonly string[]> => {
  const index = fileURLToPath(new URL('index.ts', import.meta.url));
  const program = `
    const { createRequire } = await import('node:module');
    const connections = await import(${JSON.stringify(index)});
    const { Secret } = await import('@devstack-core/redaction');
    const options = { host: '127.0.0.1', port: 1, username: 'u', password: new Secret('p') };
    ${code}
    const drivers = Object.keys(createRequire(${JSON.stringify(index)}).cache).flatMap((path) => /node_modules\\/(pg|mysql2|mongodb|ioredis|amqplib)\\//.exec(path)?.[1] ?? []);
    console.log(JSON.stringify([...new Set(drivers)]));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['-C', '@devstack-core/source', '--input-type=module', '-e', program],
    {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
    },
  );
  return JSON.parse(stdout) as string[];
};

describe('drivers', () => {
  it('are not loaded with the package', async () => {
    expect(await loadedAfter('')).toEqual([]);
  });

  it('are loaded one at a time, by their own connect function', async () => {
    expect(await loadedAfter('await connections.connectAmqp(options).catch(() => undefined);')).toEqual(['amqplib']);
  });
});
