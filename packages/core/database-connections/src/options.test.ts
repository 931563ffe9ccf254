import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { passwordOf, tlsOptions } from './options.ts';

describe('a password', () => {
  let directory: string;
  let file: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'password-'));
    file = join(directory, 'password');
  });
  afterAll(async () => rm(directory, { recursive: true }));

  it('is taken as it is', async () => {
    expect((await passwordOf(new Secret(' x\n'))).reveal()).toBe(' x\n');
  });

  it('is read from a private file, without its last line end', async () => {
    await writeFile(file, ' p w\n\n', { mode: 0o600 });
    expect((await passwordOf({ file })).reveal()).toBe(' p w\n');
  });

  it('is not read from a file that is open to others, or missing', async () => {
    await chmod(file, 0o644);
    await expect(passwordOf({ file })).rejects.toMatchObject({ code: 'FILE_TOO_OPEN' });
    await expect(passwordOf({ file: join(directory, 'none') })).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});

describe('TLS', () => {
  it('is off by default, always verifies, and sends no address as server name', () => {
    expect(tlsOptions({ host: 'db' })).toBeUndefined();
    expect(tlsOptions({ host: 'db', tls: false })).toBeUndefined();
    expect(tlsOptions({ host: 'db', tls: {} })).toEqual({ servername: 'db', rejectUnauthorized: true });
    expect(tlsOptions({ host: '127.0.0.1', tls: { ca: 'pem' } })).toEqual({ ca: 'pem', rejectUnauthorized: true });
    expect(tlsOptions({ host: '::1', tls: { servername: 'db' } })).toEqual({
      servername: 'db',
      rejectUnauthorized: true,
    });
  });
});
