import type { MongoConnection } from '@devstack-core/database-connections';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dyingProxy } from '../../test/dying-proxy.ts';
import { chunked, dumpAll, first, type DumpedPart } from '../../test/parts.ts';
import { compareFingerprints, serializeFingerprint } from '../fingerprint.ts';
import type { Throwaway } from '../types.ts';
import { mongoAdapter } from './adapter.ts';
import type { MongoPlace } from './mongo-place.ts';
import { connect, image, labels, startServer, type TestServer } from './testing/server.ts';

let docker: DockerEngine;
let source: TestServer;
let target: Throwaway<MongoPlace>;
let there: MongoConnection;
let here: MongoConnection;
let old: DumpedPart;
let next: DumpedPart;

beforeAll(async () => {
  docker = await connectDocker();
  [source, target] = await Promise.all([startServer(docker), mongoAdapter.throwaway({ docker, image, labels })]);
  [there, here] = await Promise.all([connect(source), connect(target)]);
  const kept = there.db('kept');
  const dump = async (): Promise<DumpedPart> => first(await dumpAll(mongoAdapter, { ...source, databases: ['kept'] }));
  await kept.collection('both').insertMany([{ _id: 1, text: 'old' }]);
  await kept.collection('only old').insertMany([{ _id: 1 }, { _id: 2 }]);
  // With a dot, it cannot be renamed.
  await kept.collection('fs.files').insertMany([{ _id: 1, text: 'old' }]);
  await kept.command({ createIndexes: 'fs.files', indexes: [{ key: { text: 1 }, name: 'by text' }] });
  old = await dump();
  await kept.command({ drop: 'only old' });
  await kept.collection('both').updateOne({ _id: 1 }, { $set: { text: 'new' } });
  await kept.command({ createIndexes: 'both', indexes: [{ key: { text: 1 }, name: 'by text', unique: true }] });
  await kept.collection('only new').insertMany([{ _id: 3 }]);
  await kept.collection('fs.files').updateOne({ _id: 1 }, { $set: { text: 'new' } });
  await kept.collection('fs.chunks').insertMany([{ _id: 5 }]);
  next = await dump();
});

afterAll(async () => {
  await there.close();
  await here.close();
  await target[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

describe('a dump', () => {
  it('fails when collections or indexes are changed while nobody holds them still', async () => {
    const { postgres, ...alone } = source;
    expect(postgres).toBeDefined();
    for await (const part of mongoAdapter.open({ ...alone, databases: ['kept'] })) {
      const content = part.content()[Symbol.asyncIterator]();
      await content.next();
      await there.db('kept').command({ create: 'meanwhile' });
      await expect(exhaust(content)).rejects.toMatchObject({ code: 'DUMP_FAILED' });
    }
    await there.db('kept').command({ drop: 'meanwhile' });
  });

  it('fails when the server goes away in the middle', async () => {
    await using server = await startServer(docker);
    await using connection = await connect(server);
    const text = 'x'.repeat(100_000);
    await connection
      .db('d')
      .collection('c')
      .insertMany(Array.from({ length: 200 }, (_, _id) => ({ _id, text })));
    const reading = async (): Promise<void> => {
      for await (const part of mongoAdapter.open(server)) {
        const content = part.content()[Symbol.asyncIterator]();
        await content.next();
        await docker.killContainer(server.container);
        await exhaust(content);
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'DUMP_FAILED' });
  });

  it('says who cannot log in, and no password', async () => {
    const error: unknown = await dumpAll(mongoAdapter, { ...source, password: new Secret('wrong-one') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'PLACE_UNUSABLE' });
    expect(String(error)).not.toContain('wrong-one');
    await expect(dumpAll(mongoAdapter, { ...source, databases: ['nowhere'] })).rejects.toMatchObject({
      code: 'DUMP_FAILED',
    });
  });

  it('ends when it is aborted', async () => {
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const part of mongoAdapter.open({ ...source, databases: ['kept'] }, { signal: stop.signal })) {
        stop.abort();
        await part.fingerprint();
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

describe('a restore', () => {
  it.each([
    ['half of it', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['all but its last byte', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['nothing', () => Buffer.alloc(0)],
    ['something else', () => Buffer.from('PK'.repeat(1000))],
    ['another database', (bytes: Buffer) => Buffer.from(bytes.toString('latin1').replaceAll('kept', 'kepq'), 'latin1')],
  ])('of %s leaves what there was', async (_, damage) => {
    await mongoAdapter.restore(target, old.stored, chunked(old.bytes));
    await expect(mongoAdapter.restore(target, next.stored, chunked(damage(next.bytes), 10))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    expect(await differencesNow(old)).toEqual([]);
    expect(await workCollections()).toEqual([]);
    await here.db('kept').command({ dropDatabase: 1 });
    await expect(mongoAdapter.restore(target, next.stored, chunked(damage(next.bytes)))).rejects.toThrow();
    expect(await here.db('kept').listCollections()).toEqual([]);
  });

  it('of documents that break a unique index leaves what there was', async () => {
    await mongoAdapter.restore(target, old.stored, chunked(old.bytes));
    const metadata = next.bytes.toString('latin1').replace('"by text"', '"_d_text"');
    expect(metadata).toContain('_d_text');
    const broken = Buffer.from(next.bytes.toString('latin1').replace('"key":{"text"', '"kay":{"text"'), 'latin1');
    await expect(mongoAdapter.restore(target, next.stored, chunked(broken))).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    });
    expect(await differencesNow(old)).toEqual([]);
  });

  it('that is aborted leaves what there was', async () => {
    await mongoAdapter.restore(target, old.stored, chunked(old.bytes));
    const stop = new AbortController();
    async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
      yield* chunked(next.bytes.subarray(0, -50));
      stop.abort();
      yield next.bytes.subarray(-50);
    }
    await expect(mongoAdapter.restore(target, next.stored, source(), { signal: stop.signal })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    expect(await differencesNow(old)).toEqual([]);
    expect(await workCollections()).toEqual([]);
  });

  it('that is killed at any message leaves the old or the new, whole', { timeout: 300_000 }, async () => {
    const seen = { old: 0, new: 0 };
    await mongoAdapter.restore(target, old.stored, chunked(old.bytes));
    // Every other one: what comes next to each other is of one kind.
    for (let messages = 4; ; messages += 2) {
      await using proxy = await dyingProxy(target.connect, messages);
      const restored = mongoAdapter
        .restore({ ...target, connect: { host: proxy.host, port: proxy.port } }, next.stored, chunked(next.bytes))
        .then(
          () => 'done',
          () => 'dead',
        );
      const outcome = await Promise.race([restored, proxy.death]);
      if (!proxy.isDead()) {
        expect(outcome).toBe('done');
        break;
      }
      // Whoever comes next, with whatever, begins with putting things right.
      await expect(mongoAdapter.restore(target, next.stored, chunked(Buffer.alloc(0)))).rejects.toThrow();
      const now = serializeFingerprint(await mongoAdapter.fingerprint(target, old.stored));
      if (now === serializeFingerprint(old.fingerprint)) seen.old += 1;
      else {
        expect(now).toBe(serializeFingerprint(next.fingerprint));
        seen.new += 1;
        await mongoAdapter.restore(target, old.stored, chunked(old.bytes));
      }
      expect(await workCollections()).toEqual([]);
    }
    expect(await differencesNow(next)).toEqual([]);
    expect(seen.old).toBeGreaterThan(10);
    expect(seen.new).toBeGreaterThan(2);
  });

  it('says in a check that it was killed', async () => {
    await here
      .db('kept')
      .collection('devstack_restore_journal')
      .insertOne({ _id: 'plan', text: '{"olds":[],"news":[],"oldViews":[]}' });
    expect(await mongoAdapter.check(target, next.stored)).toEqual([
      'A restore of database kept was interrupted; restoring again puts back what was there.',
    ]);
    await mongoAdapter.restore(target, next.stored, chunked(next.bytes));
    expect(await mongoAdapter.check(target, next.stored)).toEqual([]);
  });

  it.each([
    ['another engine', { name: 'mongodb', version: '8.0.0' }],
    ['a newer release', { name: 'ferretdb', version: '2.1.0' }],
  ])('of %s is refused', async (_, engine) => {
    const stored = { ...next.stored, engine: { ...next.stored.engine, ...engine } };
    await expect(mongoAdapter.restore(target, stored, chunked(next.bytes))).rejects.toMatchObject({
      code: 'ENGINE_MISMATCH',
    });
  });

  it('into a database of the system is refused', async () => {
    await expect(
      mongoAdapter.restore(target, { ...next.stored, name: 'admin' }, chunked(next.bytes)),
    ).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
  });
});

async function exhaust(iterator: AsyncIterator<Uint8Array>): Promise<void> {
  while ((await iterator.next()).done !== true);
}

async function differencesNow({ stored, fingerprint }: DumpedPart): Promise<readonly object[]> {
  return compareFingerprints(fingerprint, await mongoAdapter.fingerprint(target, stored));
}

async function workCollections(): Promise<readonly string[]> {
  return (await here.db('kept').listCollections()).filter((name) => name.startsWith('devstack_restore_'));
}
