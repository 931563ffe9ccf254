import type { Fingerprint } from '@devstack-core/database-backup';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { fakeDocker, fakeEngine, wholePart, type FakeEngineOptions } from '../test/fake-engine.ts';
import { FakeStore, setId, type FakePart } from '../test/fake-store.ts';
import {
  renderReport,
  summarizeReport,
  verificationReportSchema,
  verifySet,
  type VerificationEvent,
  type VerificationReport,
  type VerifySetOptions,
} from './index.ts';

const shop = wholePart('postgres', 'shop', { orders: ['a', 'b'], customers: ['c'] });
const globals = wholePart('postgres', 'globals', { roles: ['app'] }, { kind: 'fake-globals' });
const cache = wholePart('redis', 'keys', { keys: ['x', 'y', 'z'] });

async function verify(
  parts: readonly FakePart[] | FakeStore,
  engine: FakeEngineOptions = {},
  more: Partial<VerifySetOptions> = {},
): Promise<VerificationReport> {
  const store = parts instanceof FakeStore ? parts : new FakeStore(parts);
  return verifySet({ store, id: setId, docker: fakeDocker(), rehearsers: [fakeEngine(engine)], ...more });
}

const classesOf = ({ parts }: VerificationReport): readonly (readonly string[])[] =>
  parts.map((part) => [part.part, part.verdict, ...part.findings.map((finding) => finding.class)]);

describe('a verification by restoring', () => {
  it('finds a whole set valid, names the engines that ran, and keeps the result', async () => {
    const store = new FakeStore([shop, globals, cache]);
    const engine = fakeEngine();
    const events: VerificationEvent[] = [];
    const report = await verifySet({
      store,
      id: setId,
      docker: fakeDocker(),
      rehearsers: [engine],
      onEvent: (event) => events.push(event),
    });
    expect(report).toMatchObject({
      verdict: 'valid',
      level: 3,
      selfTest: 'passed',
      isRecorded: true,
      findings: [],
      engines: [
        {
          service: 'postgres',
          engine: 'fake',
          image: { name: 'devstack/fake:local', id: 'sha256:same', isSame: true },
        },
        { service: 'redis' },
      ],
    });
    expect(report.parts[0]).toMatchObject({ verdict: 'valid', comparedItems: 2, parsed: 'JSON lines, 3 entries' });
    // One engine for each service, roles before databases, all restored before anything is compared, and nothing stays.
    expect(engine.log).toEqual([
      'start sha256:same', 'restore globals', 'restore shop', 'gone',
      'start sha256:same', 'restore keys', 'gone',
    ]); // prettier-ignore
    expect(engine.running).toBe(0);
    expect(store.restoreTests).toEqual([{ verdict: 'valid', services: { postgres: 'valid', redis: 'valid' } }]);
    expect(store.history).toMatchObject([
      { event: 'verify', outcome: 'succeeded', set: setId, level: 3, services: ['postgres', 'redis'] },
    ]);
    expect(events.filter(({ type }) => type === 'part-finished')).toHaveLength(3);
    // The content of each part was read once only.
    expect(store.opened.filter((name) => name.endsWith('/content'))).toHaveLength(3);
  });

  it.each<[string, FakeEngineOptions, readonly string[]]>([
    ['something is missing', { loses: 'customers' }, ['shop', 'invalid', 'content-differs']],
    ['a row has changed', { changes: 'orders' }, ['shop', 'invalid', 'content-differs']],
    ['something is there that was not', { invents: 'leftover' }, ['shop', 'invalid', 'content-differs']],
    ['the engine refuses it', { refuses: 'shop' }, ['shop', 'invalid', 'restore-failed']],
    [
      'the engine refuses it before its end',
      { refuses: 'shop', stopsEarly: true },
      ['shop', 'invalid', 'restore-failed'],
    ],
    ['the engine complains afterwards', { complains: 'shop' }, ['shop', 'invalid', 'integrity']],
    ['the engine cannot be started', { cannotStart: true }, ['shop', 'inconclusive', 'trial-failed']],
  ])('tells when %s', async (_, engine, expected) => {
    const store = new FakeStore([shop]);
    const report = await verify(store, engine);
    expect(classesOf(report)).toEqual([expected]);
    expect(report.verdict).toBe(expected[1]);
    expect(store.restoreTests).toEqual([{ verdict: expected[1], services: { postgres: expected[1] } }]);
    expect(store.history[0]).toMatchObject({ outcome: expected[1] === 'invalid' ? 'failed' : 'inconclusive' });
    // The control: the same set in an engine that works.
    expect((await verify([shop])).verdict).toBe('valid');
  });

  it('tells what is broken in itself from what an engine refuses', async () => {
    const cut = { ...shop, content: (shop.content as string).slice(0, -5) };
    expect(classesOf(await verify([cut], { refuses: 'shop' }))).toEqual([['shop', 'invalid', 'malformed']]);
    expect(classesOf(await verify([cut], { refuses: 'shop', stopsEarly: true }))).toEqual([
      ['shop', 'invalid', 'malformed'],
    ]);
  });

  it('takes other content for a warning where content and fingerprint are not of one moment, and a loss never', async () => {
    const moving = { ...shop, approximate: 'MyISAM tables have no snapshot' };
    const changed = await verify([moving], { changes: 'orders', invents: 'new' });
    expect(changed.verdict).toBe('valid');
    expect(changed.parts[0]?.warnings.join()).toMatch(/orders has other content.*MyISAM tables have no snapshot/);
    expect(changed.parts[0]?.differences).toHaveLength(2);
    expect((await verify([moving], { loses: 'orders' })).verdict).toBe('invalid');
  });

  it('is inconclusive where there is nothing to compare with', async () => {
    expect(classesOf(await verify([{ ...shop, fingerprint: undefined }]))).toEqual([
      ['shop', 'inconclusive', 'no-fingerprint'],
    ]);
    expect(classesOf(await verify([{ ...shop, fingerprint: '{"schema":"other"}' }]))).toEqual([
      ['shop', 'invalid', 'malformed'],
    ]);
  });

  it('restores in the image of the backup, in another of that name with a warning, and in none without telling', async () => {
    const other = await verify([shop], {}, { docker: fakeDocker({ 'devstack/fake:local': 'sha256:newer' }) });
    expect(other.verdict).toBe('valid');
    expect(other.parts[0]?.restoredIn).toMatchObject({ id: 'sha256:newer', isSame: false });
    expect(other.parts[0]?.warnings.join()).toContain('sha256:newer');
    const none = await verify([shop], {}, { docker: fakeDocker({}) });
    expect(classesOf(none)).toEqual([['shop', 'inconclusive', 'no-image']]);
    expect(none).toMatchObject({ verdict: 'inconclusive', engines: [], selfTest: null });
    const replaced = await verify(
      [shop],
      {},
      {
        docker: fakeDocker({ 'mirror/fake:1': 'sha256:same' }),
        images: { 'devstack/fake:local': 'mirror/fake:1' },
      },
    );
    expect(replaced.parts[0]?.restoredIn).toEqual({ name: 'mirror/fake:1', id: 'sha256:same', isSame: true });
  });

  it('gives the parts of a service to whoever takes that service, with the image of each engine', async () => {
    const files = { ...cache, service: 'postgres', name: 'files', engine: 'other' };
    const image = { name: 'devstack/other:local', id: 'sha256:other' };
    const own = { ...fakeEngine({ engines: ['fake', 'other'] }), services: ['postgres'] };
    const any = fakeEngine();
    const docker = fakeDocker({ 'sha256:same': 'sha256:same', 'sha256:other': 'sha256:other' });
    const given: unknown[] = [];
    const rehearse: typeof own.rehearse = (options) => {
      given.push(options.images);
      return own.rehearse(options);
    };
    const rehearsers = [{ ...own, rehearse }, any];
    const both = await verify([shop, { ...files, image }, cache], {}, { docker, rehearsers });
    expect(both.verdict).toBe('valid');
    expect(given).toEqual([{ fake: 'sha256:same', other: 'sha256:other' }]);
    expect(own.log).toEqual(['start sha256:same', 'restore shop', 'restore files', 'gone']);
    expect(any.log).toEqual(['start sha256:same', 'restore keys', 'gone']);
    expect(both.parts.map(({ part, restoredIn }) => [part, restoredIn?.id])).toEqual([
      ['shop', 'sha256:same'],
      ['files', 'sha256:other'],
      ['keys', 'sha256:same'],
    ]);
    expect(both.engines.map(({ service, engine }) => `${service} ${engine}`)).toEqual([
      'postgres fake',
      'postgres other',
      'redis fake',
    ]);
    const one = await verify([shop, { ...files, image }, cache], {}, { rehearsers });
    expect(classesOf(one)).toEqual([
      ['shop', 'inconclusive', 'no-image'],
      ['files', 'inconclusive', 'no-image'],
      ['keys', 'valid'],
    ]);
  });

  it('says when nothing here knows the engine', async () => {
    const report = await verify([{ ...shop, engine: 'mysql' }, cache]);
    expect(classesOf(report)).toEqual([
      ['shop', 'inconclusive', 'no-rehearser'],
      ['keys', 'valid'],
    ]);
    expect(report.verdict).toBe('inconclusive');
  });

  it('does not build on what is broken, and goes on with what does not need it', async () => {
    const store = new FakeStore([globals, shop, cache]);
    store.problems = [
      { kind: 'corrupted', code: 'BACKUP_DAMAGED', message: 'changed', artifact: 'postgres/globals/content' },
    ];
    expect(classesOf(await verify(store))).toEqual([
      ['globals', 'invalid', 'corrupted'],
      ['shop', 'inconclusive', 'not-reached'],
      ['keys', 'valid'],
    ]);
    expect(store.restoreTests).toEqual([{ verdict: 'invalid', services: { postgres: 'invalid', redis: 'valid' } }]);
  });

  it('looks at some services only, and does not call the whole set proven then', async () => {
    const store = new FakeStore([shop, cache]);
    const report = await verify(store, {}, { only: ['redis'] });
    expect(report).toMatchObject({ verdict: 'valid', only: ['redis'], parts: [{ part: 'keys' }] });
    expect(store.restoreTests).toEqual([{ verdict: 'inconclusive', services: { redis: 'valid' } }]);
  });

  it('is inconclusive about a set in which nothing can be restored', async () => {
    expect((await verify([])).verdict).toBe('inconclusive');
  });

  it('gives up what hangs, and leaves nothing of it', async () => {
    const restoring = fakeEngine({ hangs: 'restore' });
    const report = await verify([shop, cache], {}, { rehearsers: [restoring], timeouts: { workMs: 100 } });
    expect(classesOf(report)).toEqual([
      ['shop', 'inconclusive', 'timed-out'],
      ['keys', 'inconclusive', 'timed-out'],
    ]);
    expect(restoring.running).toBe(0);
    const starting = fakeEngine({ hangs: 'start' });
    const late = await verify([shop], {}, { rehearsers: [starting], timeouts: { startMs: 50 } });
    expect(classesOf(late)).toEqual([['shop', 'inconclusive', 'timed-out']]);
    // It came up afterwards, and went at once.
    await expect.poll(() => starting.log).toEqual(['start sha256:same', 'gone']);
  });

  it('stops when it is told to, and records nothing', async () => {
    const store = new FakeStore([shop, cache]);
    const engine = fakeEngine({ hangs: 'restore' });
    const running = verify(store, {}, { rehearsers: [engine], signal: AbortSignal.timeout(50) });
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(engine.running).toBe(0);
    expect(store.history).toEqual([]);
  });

  it('is inconclusive when its own control fails', async () => {
    // An engine that claims to hold even what nobody put there.
    const planted = { kind: 'planted', name: 'by the control', count: 1, checksum: 'none' };
    const { fingerprint } = shop;
    if (typeof fingerprint !== 'object') throw new Error('the part has a fingerprint');
    const answers = (): Fingerprint => ({ ...fingerprint, items: [...fingerprint.items, planted] });
    const report = await verify([shop], { answers });
    expect(report.selfTest).toBe('failed');
    expect(classesOf(report)[0]).toContain('self-test-failed');
    expect((await verify([shop], { answers: () => fingerprint })).selfTest).toBe('passed');
  });
});

describe('a verification that does not restore', () => {
  it('reads every artifact at level 2 and says what it is', async () => {
    const store = new FakeStore([shop, { service: 'x', name: 'y', extension: 'bin', content: 'abc' }]);
    const report = await verifySet({ store, id: setId, level: 2 });
    expect(report).toMatchObject({ verdict: 'valid', level: 2, engines: [], selfTest: null });
    expect(report.parts.map(({ parsed }) => parsed)).toEqual(['JSON lines, 3 entries', '3 bytes of unknown structure']);
    expect(store.opened).toContain('postgres/shop/fingerprint');
    expect(store.restoreTests).toEqual([]);
    expect(store.history).toMatchObject([{ level: 2, services: ['postgres', 'x'] }]);
  });

  it.each([
    ['BACKUP_DAMAGED', 'corrupted'],
    ['BACKUP_TRUNCATED', 'corrupted'],
    ['BACKUP_WRONG_PASSPHRASE', 'wrong-passphrase'],
    ['BACKUP_INCOMPLETE', 'incomplete'],
    ['BACKUP_SWAPPED', 'swapped'],
  ])('tells %s as %s', async (code, expected) => {
    const store = new FakeStore([shop, cache]);
    store.broken.set('postgres/shop/content', code);
    expect(classesOf(await verifySet({ store, id: setId, level: 2 }))).toEqual([
      ['shop', 'invalid', expected],
      ['keys', 'valid'],
    ]);
  });

  it('knows a part without content, and one whose reading failed for another reason', async () => {
    const { content: _content, ...without } = shop;
    expect(classesOf(await verifySet({ store: new FakeStore([without]), id: setId, level: 2 }))).toEqual([
      ['shop', 'invalid', 'incomplete'],
    ]);
    const store = new FakeStore([shop]);
    store.broken.set('postgres/shop/content', 'BACKUP_FILE_FAILED');
    expect(classesOf(await verifySet({ store, id: setId, level: 2 }))).toEqual([
      ['shop', 'inconclusive', 'unreadable'],
    ]);
  });

  it('opens nothing at level 1', async () => {
    const store = new FakeStore([shop]);
    const report = await verifySet({ store, id: setId, level: 1 });
    expect(report).toMatchObject({ verdict: 'valid', parts: [{ verdict: 'valid', parsed: null }] });
    expect(store.opened).toEqual([]);
  });

  it.each([
    ['forged', 'invalid'],
    ['newer-format', 'invalid'],
    ['wrong-passphrase', 'invalid'],
    ['unproved', 'inconclusive'],
  ] as const)('says of a set whose manifest is %s that it is %s', async (kind, verdict) => {
    const store = new FakeStore([shop]);
    store.problems = [{ kind, code: 'CODE', message: 'as it says' }];
    store.isReadable = false;
    const report = await verify(store);
    expect(report).toMatchObject({ verdict, parts: [], findings: [{ class: kind, code: 'CODE' }], selfTest: null });
    expect(store.restoreTests).toEqual([]);
  });

  it('counts artifacts that belong to no part, too', async () => {
    const store = new FakeStore([shop]);
    store.problems = [
      { kind: 'corrupted', code: 'BACKUP_DAMAGED', message: 'changed', artifact: 'other/file/content' },
    ];
    expect((await verifySet({ store, id: setId, level: 1 })).verdict).toBe('invalid');
  });

  it('says when the result cannot be kept', async () => {
    const store = new FakeStore([shop]);
    store.isWritable = false;
    expect(await verify(store)).toMatchObject({ verdict: 'valid', isRecorded: false });
  });

  it('refuses to restore without Docker and engines', async () => {
    await expect(verifySet({ store: new FakeStore([shop]), id: setId })).rejects.toMatchObject({
      code: 'VERIFICATION_OPTIONS_INVALID',
      details: { usage: true },
    });
  });
});

describe('the report', () => {
  const validate = new Ajv2020().compile(verificationReportSchema);

  it('fits the published schema, which rejects an unknown verdict', async () => {
    for (const engine of [{}, { changes: 'orders' }, { cannotStart: true }]) {
      const report = JSON.parse(JSON.stringify(await verify([shop, cache], engine))) as object;
      expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
      expect(validate({ ...report, verdict: 'fine' })).toBe(false);
    }
  });

  it('is shown as rows and lines', async () => {
    const store = new FakeStore([shop, cache]);
    store.problems = [{ kind: 'corrupted', code: 'X', message: 'RECOVERY.md is not the one that was written.' }];
    const report = await verify(store, { changes: 'orders' });
    expect(renderReport(report).map(({ seconds: _seconds, ...row }) => row)).toEqual([
      {
        service: '',
        part: '(the set)',
        verdict: 'invalid',
        found: 'corrupted',
        detail: 'RECOVERY.md is not the one that was written.',
      },
      {
        service: 'postgres',
        part: 'shop',
        verdict: 'invalid',
        found: 'content-differs',
        detail: 'The table orders has other content.',
      },
      {
        service: 'redis',
        part: 'keys',
        verdict: 'valid',
        found: 'restored, 1 items compared',
        detail: 'JSON lines, 3 entries',
      },
    ]);
    expect(summarizeReport(report).join('\n')).toMatch(
      /is invalid at level 3: 1 of 2 parts valid, 1 invalid, 0 inconclusive.*\npostgres: fake really ran, in devstack\/fake:local \(sha256:same\)\.\nredis: .*\nThe control, wrong expectations on purpose, passed\./,
    );
    const first = await verifySet({ store: new FakeStore([shop]), id: setId, level: 1 });
    expect(renderReport(first)[0]?.found).toBe('checksums');
    const second = await verifySet({ store: new FakeStore([shop]), id: setId, level: 2, only: ['postgres'] });
    expect(renderReport(second)[0]?.found).toBe('parsed');
    expect(summarizeReport(second)).toHaveLength(1);
    const third = await verify([{ ...shop, fingerprint: undefined }]);
    expect(renderReport(third)[0]?.found).toBe('no-fingerprint');
  });
});
