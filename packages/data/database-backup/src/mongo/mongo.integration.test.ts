import type { MongoConnection } from '@devstack-core/database-connections';
import { connectDocker, type DockerEngine } from '@devstack-core/docker-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchProcesses } from '../../test/canary.ts';
import { chunked, collect, dumpAll, first, storedPart, type DumpedPart } from '../../test/parts.ts';
import { compareFingerprints, serializeFingerprint } from '../fingerprint.ts';
import type { Throwaway } from '../types.ts';
import { mongoAdapter } from './adapter.ts';
import { readArchive } from './archive-reader.ts';
import type { MongoPlace } from './mongo-place.ts';
import { awkwardDocuments, int32, raw, string } from './testing/raw-documents.ts';
import { connect, image, labels, startServer, type TestServer } from './testing/server.ts';

let docker: DockerEngine;
let source: TestServer;
let target: Throwaway<MongoPlace>;
let there: MongoConnection;
let here: MongoConnection;
let parts: readonly DumpedPart[];

beforeAll(async () => {
  docker = await connectDocker();
  [source, target] = await Promise.all([startServer(docker), mongoAdapter.throwaway({ docker, image, labels })]);
  [there, here] = await Promise.all([connect(source), connect(target)]);
  const db = there.db('shop');
  await db.collection('awkward').insertRaw(awkwardDocuments);
  await db.collection('Ünïcode колле.кция 名').insertRaw([raw(int32('_id', 1))]);
  await db.command({ create: 'empty' });
  await db.command({ create: 'ring', capped: true, size: 4096, max: 3 });
  await db.collection('ring').insertMany([1, 2, 3].map((_id) => ({ _id })));
  await db.collection('people').insertMany([
    { _id: 1, name: 'Ada', age: 36 },
    { _id: 2, name: 'Bob', age: 36 },
  ]);
  await db.command({
    createIndexes: 'people',
    indexes: [
      { key: { name: 1, age: -1 }, name: 'by name', unique: true },
      { key: { 'deep.field': 1 }, name: 'deep' },
    ],
  });
  const big = 'x'.repeat(16 * 1024 ** 2 - 64);
  await there
    .db('large-one')
    .collection('documents')
    .insertRaw([raw(int32('_id', 1), string('text', big))]);
});

afterAll(async () => {
  await there.close();
  await here.close();
  await target[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

describe('databases full of awkward documents', () => {
  it('are dumped at one moment, without a secret where others look', async () => {
    await using watch = watchProcesses(source.canary);
    parts = await dumpAll(mongoAdapter, source);
    const { looks, found } = watch.stop();
    expect(found).toEqual([]);
    expect(looks).toBeGreaterThan(100);
    expect(parts.map(({ stored }) => [stored.name, stored.kind, stored.consistency])).toEqual([
      ['large-one', 'mongodb-database', 'exact'],
      ['shop', 'mongodb-database', 'exact'],
    ]);
    expect(first(parts).stored.engine).toMatchObject({ name: 'ferretdb', version: '1.24.0' });
  });

  it('are kept byte for byte, and their archive is laid out as that of mongodump', async () => {
    const shop = part('shop');
    const events = await Array.fromAsync(readArchive(chunked(shop.bytes, 7)));
    const documents = events.flatMap((event) =>
      event.type === 'document' && event.collection === 'awkward' ? [event.bytes.toString('hex')] : [],
    );
    expect(documents.sort()).toEqual(awkwardDocuments.map((document) => document.toString('hex')).sort());
    expect(events[0]).toMatchObject({ type: 'prelude' });
    expect(shop.bytes.subarray(0, 4).toString('hex')).toBe('6de29981');
  });

  it('give the same bytes and fingerprints again', async () => {
    const again = await dumpAll(mongoAdapter, source);
    for (const [index, { bytes, fingerprint }] of parts.entries()) {
      expect(serializeFingerprint(again[index]?.fingerprint ?? fingerprint)).toBe(serializeFingerprint(fingerprint));
      expect(again[index]?.bytes.equals(bytes)).toBe(true);
    }
  });

  it('come back whole in an empty server', async () => {
    for (const { stored, bytes } of parts) await mongoAdapter.restore(target, stored, chunked(bytes, 100_000));
    for (const { stored, fingerprint } of parts) {
      expect(compareFingerprints(fingerprint, await mongoAdapter.fingerprint(target, stored))).toEqual([]);
      expect(await mongoAdapter.check(target, stored)).toEqual([]);
    }
    expect((await here.db('shop').listCollections()).sort()).toEqual(
      ['awkward', 'empty', 'people', 'ring', 'Ünïcode колле.кция 名'].sort(),
    );
    await expect(here.db('shop').collection('people').insertOne({ _id: 3, name: 'Ada', age: 36 })).rejects.toThrow();
  });

  it('come back in place of what is there', async () => {
    const shop = part('shop');
    const db = here.db('shop');
    await db.command({ drop: 'empty' });
    await db.collection('surplus').insertOne({ _id: 1 });
    await db.collection('people').insertOne({ _id: 4, name: 'Eve', age: 1 });
    expect(compareFingerprints(shop.fingerprint, await mongoAdapter.fingerprint(target, shop.stored))).toEqual(
      expect.arrayContaining([
        { kind: 'collection', name: 'empty', problem: 'missing', expected: 0, actual: null },
        { kind: 'collection', name: 'people', problem: 'count', expected: 2, actual: 3 },
        { kind: 'collection', name: 'surplus', problem: 'unexpected', expected: null, actual: 1 },
      ]),
    );
    await mongoAdapter.restore(target, shop.stored, chunked(shop.bytes));
    expect(await differences(shop)).toEqual([]);
    expect(await db.listCollections()).not.toContain('surplus');
  });
});

describe('a fingerprint', () => {
  const changes: readonly (readonly [string, object, object])[] = [
    [
      'one changed document',
      { update: 'people', updates: [{ q: { _id: 1 }, u: { $set: { age: 37 } } }] },
      { kind: 'collection', name: 'people', problem: 'content' },
    ],
    [
      'a document less',
      { delete: 'people', deletes: [{ q: { _id: 1 }, limit: 1 }] },
      { kind: 'collection', name: 'people', problem: 'count' },
    ],
    [
      'a missing index',
      { dropIndexes: 'people', index: 'deep' },
      { kind: 'indexes', name: 'people', problem: 'count' },
    ],
    ['a collection less', { drop: 'awkward' }, { kind: 'collection', name: 'awkward', problem: 'missing' }],
  ];

  it.each(changes)('tells %s', async (_, command, difference) => {
    const shop = part('shop');
    await here.db('shop').command({ ...command });
    expect(await differences(shop)).toContainEqual(expect.objectContaining(difference));
    await mongoAdapter.restore(target, shop.stored, chunked(shop.bytes));
    expect(await differences(shop)).toEqual([]);
  });

  it('tells fields in another order', async () => {
    const shop = part('shop');
    const collection = here.db('shop').collection('Ünïcode колле.кция 名');
    await collection.deleteMany({});
    await collection.insertRaw([raw(int32('_id', 1), int32('a', 1), int32('b', 1))]);
    const before = await mongoAdapter.fingerprint(target, shop.stored);
    await collection.deleteMany({});
    await collection.insertRaw([raw(int32('_id', 1), int32('b', 1), int32('a', 1))]);
    const after = await mongoAdapter.fingerprint(target, shop.stored);
    expect(compareFingerprints(before, after)).toEqual([
      expect.objectContaining({ kind: 'collection', problem: 'content' }),
    ]);
    await mongoAdapter.restore(target, shop.stored, chunked(shop.bytes));
  });
});

describe('writers', () => {
  it('are held back while a database is dumped, and go on afterwards', async () => {
    const people = there.db('shop').collection('people');
    const order: string[] = [];
    let writing: Promise<void> | undefined;
    for await (const each of mongoAdapter.open({ ...source, databases: ['shop'] })) {
      const before = await each.fingerprint();
      writing = people.insertOne({ _id: 100, name: 'late', age: 0 }).then(() => void order.push('written'));
      // Readers are let through.
      expect(await people.countDocuments()).toBe(2);
      const bytes = await collect(each.content());
      order.push('dumped');
      const stored = storedPart(each);
      await mongoAdapter.restore(target, stored, chunked(bytes));
      expect(compareFingerprints(before, await mongoAdapter.fingerprint(target, stored))).toEqual([]);
    }
    await writing;
    expect(order).toEqual(['dumped', 'written']);
    await people.deleteMany({ _id: 100 });
  });

  it('are not held back where PostgreSQL is not known, and the part says so', async () => {
    const people = there.db('shop').collection('people');
    const { postgres, ...alone } = source;
    expect(postgres.databases).toEqual(['postgres']);
    for await (const each of mongoAdapter.open({ ...alone, databases: ['shop'] })) {
      expect(each).toMatchObject({
        consistency: 'approximate',
        consistencyReason: expect.stringContaining('PostgreSQL') as unknown,
      });
      const before = await each.fingerprint();
      await people.insertOne({ _id: 101, name: 'between', age: 0 });
      const bytes = await collect(each.content());
      const stored = storedPart(each);
      await mongoAdapter.restore(target, stored, chunked(bytes));
      // The control: this is what holding them back prevents.
      expect(compareFingerprints(before, await mongoAdapter.fingerprint(target, stored))).toEqual([
        { kind: 'collection', name: 'people', problem: 'count', expected: 2, actual: 3 },
      ]);
    }
    await people.deleteMany({ _id: 101 });
  });
});

function part(name: string): DumpedPart {
  const found = parts.find(({ stored }) => stored.name === name);
  if (found === undefined) throw new Error(`there is no part ${name}`);
  return found;
}

async function differences({ stored, fingerprint }: DumpedPart): Promise<readonly object[]> {
  return compareFingerprints(fingerprint, await mongoAdapter.fingerprint(target, stored));
}
