import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runChild } from '../test/children.ts';
import { passphrase, rootFolder, serve, type RootFolder, type ServedDirectory } from '../test/served.ts';
import { issueFromRoot, leafPaths, probeTls, readLeaf, renew, type RenewalStep, type TlsVerdict } from './index.ts';

const day = 86_400_000;
let folder: RootFolder;

beforeAll(async () => {
  folder = await rootFolder();
});
afterAll(async () => folder[Symbol.asyncDispose]());

const look = (server: ServedDirectory): Promise<TlsVerdict> =>
  probeTls({ host: '127.0.0.1', port: server.port, servername: 'server', ca: folder.root.bundlePem });

describe('renew', () => {
  it('installs the first certificate in private files, in every form that servers want', async () => {
    const directory = join(folder.path, 'first');
    const issue = () => issueFromRoot({ root: folder.root, commonName: 'server', dnsNames: ['localhost'] });
    const steps: RenewalStep[] = [];
    const { outcome, reason, installed, previousSerial } = await renew({
      directory,
      issue,
      onStep: (step) => steps.push(step),
    });
    expect({ outcome, reason, previousSerial }).toEqual({
      outcome: 'renewed',
      reason: 'missing',
      previousSerial: undefined,
    });
    expect(steps).toEqual(['issued', 'written', 'recorded', 'switched', 'reloaded', 'verified', 'pruned']);
    const paths = leafPaths(directory);
    expect(installed.paths).toEqual(paths);
    for (const [path, mode] of [
      [paths.key, 0o600],
      [paths.combined, 0o600],
      [paths.certificate, 0o644],
      [paths.ca, 0o644],
      [directory, 0o700],
    ] as const)
      expect((await stat(path)).mode & 0o777).toBe(mode);
    const [certificate, key, combined] = await Promise.all(
      [paths.certificate, paths.key, paths.combined].map((path) => readFile(path, 'utf8')),
    );
    expect(new X509Certificate(certificate ?? '').checkPrivateKey(createPrivateKey(key ?? ''))).toBe(true);
    expect(combined).toBe(`${key ?? ''}${certificate ?? ''}`);
    expect(await readlink(paths.current)).toBe(`versions/${installed.serial.toLowerCase()}`);
  });

  it('does nothing before it is due, and renews from 30 days before the end', async () => {
    await using server = await serve(folder, 'due');
    const first = await readLeaf(server.directory);
    const at = (days: number) => (): Date => new Date(first.notAfter.getTime() - days * day);
    expect((await renew({ ...server.options, now: at(30.001) })).outcome).toBe('not-due');
    const now = at(29.999);
    const issue = () => issueFromRoot({ root: folder.root, commonName: 'server', now: now() });
    // The server's own clock is the real one: what is made for later is not verified by a handshake here.
    const { verify: _later, ...options } = server.options;
    const result = await renew({ ...options, issue, now });
    expect(result).toMatchObject({ outcome: 'renewed', reason: 'due', previousSerial: first.serial });
    expect((await renew({ ...options, issue, now })).outcome).toBe('not-due');
  });

  it('switches the certificate that is served, without a connection that fails, and keeps one before it', async () => {
    await using server = await serve(folder, 'switch');
    const end = new AbortController();
    const verdicts: string[] = [];
    const clients = Array.from({ length: 3 }, async () => {
      while (!end.signal.aborted) verdicts.push((await look(server)).verdict);
    });
    const serials = [(await readLeaf(server.directory)).serial];
    for (let round = 0; round < 5; round++)
      serials.push((await renew({ ...server.options, force: true })).installed.serial);
    expect((await look(server)).certificate?.serial).toBe(serials.at(-1));
    end.abort();
    await Promise.all(clients);
    expect(new Set(verdicts)).toEqual(new Set(['ok']));
    expect((await readdir(join(server.directory, 'versions'))).toSorted()).toEqual(
      serials
        .slice(-2)
        .map((serial) => serial.toLowerCase())
        .toSorted(),
    );
  });

  it('puts the old certificate back when the server does not take the new one, and says so', async () => {
    await using server = await serve(folder, 'deaf');
    const old = await readLeaf(server.directory);
    await writeFile(join(server.directory, 'deaf'), '');
    const error: unknown = await renew({ ...server.options, force: true }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'CERTIFICATE_ROLLED_BACK', details: { oldServed: true } });
    expect(String(error)).toMatch(
      /127\.0\.0\.1:\d+ does not serve the certificate .* The old one is back and served\./,
    );
    expect((await readLeaf(server.directory)).serial).toBe(old.serial);
    expect(await look(server)).toMatchObject({ verdict: 'ok', certificate: { serial: old.serial } });
    expect(await readdir(join(server.directory, 'versions'))).toHaveLength(1);
    await rm(join(server.directory, 'deaf'));
    // The control: the same renewal of a server that listens.
    expect((await renew({ ...server.options, force: true })).outcome).toBe('renewed');
  });

  it('says so when the server is lost with both, and when there was none before', async () => {
    await using server = await serve(folder, 'lost');
    const reload = () => Promise.reject(new Error('password=hunter2'));
    const error: unknown = await renew({ ...server.options, reload, force: true }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'CERTIFICATE_ROLLED_BACK', details: { oldServed: false } });
    expect(String(error)).not.toContain('hunter2');
    const directory = join(folder.path, 'none');
    await expect(renew({ ...server.options, directory, reload })).rejects.toMatchObject({
      code: 'CERTIFICATE_ROLLED_BACK',
      details: { oldServed: null },
    });
    await expect(readLeaf(directory)).rejects.toMatchObject({ code: 'CERTIFICATE_MISSING' });
  });

  it('leaves the old one and names the next step when there is no new one', async () => {
    await using server = await serve(folder, 'away');
    const old = await readLeaf(server.directory);
    const away = new DevstackError({ code: 'VAULT_UNREACHABLE', message: 'Vault does not answer.', hint: 'Start it.' });
    const error: unknown = await renew({
      ...server.options,
      issue: () => Promise.reject(away),
      force: true,
    }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'CERTIFICATE_RENEWAL_FAILED',
      hint: 'Start it.',
      details: { stage: 'issue', causeCode: 'VAULT_UNREACHABLE', oldNotAfter: old.notAfter.toISOString() },
    });
    expect(String(error)).toContain(`The old one stays; it is valid until ${old.notAfter.toISOString()}.`);
    expect(await look(server)).toMatchObject({ verdict: 'ok', certificate: { serial: old.serial } });
    await expect(
      renew({ directory: join(folder.path, 'away-first'), issue: () => Promise.reject(new Error('x')) }),
    ).rejects.toMatchObject({ message: expect.stringContaining('There is none in place.') as string });
    await expect(renew({ ...server.options, force: true, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });

  it.each([
    ['a day behind', -day, /not valid yet: this clock is at least \d+ hours behind/],
    ['a year ahead', 365 * day, /over: this clock is at least \d+ days ahead of/],
  ])('names a clock that is %s, and keeps the old certificate', async (_name, skewMs, text) => {
    await using server = await serve(folder, `clock-${String(skewMs)}`);
    const old = await readLeaf(server.directory);
    const now = () => new Date(Date.now() + skewMs);
    const error: unknown = await renew({ ...server.options, now, force: true }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'CERTIFICATE_RENEWAL_FAILED', details: { causeCode: 'CERTIFICATE_CLOCK' } });
    expect(String(error)).toMatch(text);
    expect((await readLeaf(server.directory)).serial).toBe(old.serial);
  });

  it('a clock that is a day ahead, or within the drift, changes nothing', async () => {
    await using server = await serve(folder, 'drift');
    for (const skewMs of [day, -4 * 60_000]) {
      const now = () => new Date(Date.now() + skewMs);
      expect((await renew({ ...server.options, now, force: true })).outcome).toBe('renewed');
    }
  });

  it('refuses what a server could not load', async () => {
    await using server = await serve(folder, 'mismatch');
    const [one, other] = await Promise.all([
      server.options.issue({ signal: undefined }),
      server.options.issue({ signal: undefined }),
    ]);
    for (const privateKey of [other.privateKey, new Secret('no key')])
      await expect(
        renew({ ...server.options, issue: () => Promise.resolve({ ...one, privateKey }), force: true }),
      ).rejects.toMatchObject({ code: 'CERTIFICATE_RENEWAL_FAILED', details: { stage: 'issue' } });
    expect((await look(server)).verdict).toBe('ok');
  });

  it('renews when other roots are to be trusted, and when the files are damaged', async () => {
    await using server = await serve(folder, 'roots');
    await using other = await rootFolder();
    const both = `${folder.root.bundlePem}${other.root.bundlePem}`;
    const issue = async () => ({ ...(await server.options.issue({ signal: undefined })), caBundlePem: both });
    expect(await renew({ ...server.options, issue, caBundlePem: both })).toMatchObject({ reason: 'roots-changed' });
    expect((await renew({ ...server.options, issue, caBundlePem: both })).outcome).toBe('not-due');
    await writeFile(leafPaths(server.directory).certificate, 'nothing');
    expect(await renew(server.options)).toMatchObject({ outcome: 'renewed', reason: 'unreadable' });
  });

  it('runs once at a time for a directory', async () => {
    await using server = await serve(folder, 'twice');
    let running = 0;
    let most = 0;
    const issue = async () => {
      most = Math.max(most, ++running);
      const leaf = await server.options.issue({ signal: undefined });
      running--;
      return leaf;
    };
    await Promise.all([1, 2].map(() => renew({ ...server.options, issue, force: true })));
    expect(most).toBe(1);
  });
});

const forward: readonly RenewalStep[] = ['issued', 'written', 'recorded', 'switched', 'reloaded', 'verified', 'pruned'];
const backward: readonly RenewalStep[] = [
  'issued',
  'written',
  'recorded',
  'switched',
  'reloaded',
  'switched-back',
  'reloaded-old',
];

describe('a renewal that is killed', () => {
  const kill = (server: ServedDirectory, killAt: RenewalStep) =>
    runChild('renew-child.ts', {
      directory: server.directory,
      root: folder.root.directory,
      passphrase: passphrase.reveal(),
      port: server.port,
      pid: server.pid,
      killAt,
    });

  it.each(forward)(
    'at "%s" leaves a valid certificate served and in place, and is finished or undone by the next',
    async (killAt) => {
      await using server = await serve(folder, `kill-${killAt}`);
      const old = await readLeaf(server.directory);
      expect(await kill(server, killAt)).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });

      const seen = await look(server);
      expect(seen.verdict).toBe('ok');
      const wasReloaded = ['reloaded', 'verified', 'pruned'].includes(killAt);
      if (!wasReloaded) expect(seen.certificate?.serial).toBe(old.serial);
      const inPlace = await readLeaf(server.directory);
      expect(
        new X509Certificate(inPlace.certificatePem).checkPrivateKey(
          createPrivateKey(await readFile(inPlace.paths.key)),
        ),
      ).toBe(true);
      if (forward.indexOf(killAt) < forward.indexOf('switched')) expect(inPlace.serial).toBe(old.serial);

      const next = await renew(server.options);
      expect(next.outcome).toBe(['switched', 'reloaded', 'verified'].includes(killAt) ? 'finished' : 'not-due');
      expect(await look(server)).toMatchObject({ verdict: 'ok', certificate: { serial: next.installed.serial } });
      expect(await readdir(server.directory)).not.toContain('pending.json');
      expect((await readdir(join(server.directory, 'versions'))).length).toBeLessThanOrEqual(2);
    },
  );

  it.each(backward)('at "%s" while the server refuses the new one keeps the old one served', async (killAt) => {
    await using server = await serve(folder, `refused-${killAt}`);
    const old = await readLeaf(server.directory);
    await writeFile(join(server.directory, 'deaf'), '');
    expect(await kill(server, killAt)).toEqual({ signal: 'SIGKILL', said: `killed at ${killAt}` });
    expect(await look(server)).toMatchObject({ verdict: 'ok', certificate: { serial: old.serial } });
    // What was switched to is tried again, refused again, and taken back.
    const next = await renew(server.options).catch((error: unknown) => error);
    if (['switched', 'reloaded'].includes(killAt)) expect(next).toMatchObject({ code: 'CERTIFICATE_ROLLED_BACK' });
    else expect(next).toMatchObject({ outcome: 'not-due' });
    expect((await readLeaf(server.directory)).serial).toBe(old.serial);
    expect(await look(server)).toMatchObject({ verdict: 'ok', certificate: { serial: old.serial } });
    expect(await readdir(server.directory)).not.toContain('pending.json');
  });

  it('the control: a renewal that overwrites the files in place is seen to serve a broken pair when it is killed', async () => {
    await using server = await serve(folder, 'control');
    const fresh = await server.options.issue({ signal: undefined });
    // What a careless tool does first, and then it dies.
    await writeFile(leafPaths(server.directory).certificate, fresh.certificatePem);
    const inPlace = await readLeaf(server.directory);
    const key = createPrivateKey(await readFile(inPlace.paths.key));
    expect(new X509Certificate(inPlace.certificatePem).checkPrivateKey(key)).toBe(false);
  });
});
