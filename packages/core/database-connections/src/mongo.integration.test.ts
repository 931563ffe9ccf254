import { inspect } from 'node:util';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFerretdb, type Engine } from '../test/engines.ts';
import { awkwardPassword } from '../test/passwords.ts';
import { connectMongo, type MongoOptions } from './mongo.ts';

describe('MongoDB protocol (FerretDB)', () => {
  let engine: Engine;
  let options: MongoOptions;

  beforeAll(async () => {
    engine = await startFerretdb(awkwardPassword);
    options = {
      host: '127.0.0.1',
      port: engine.port(27017),
      username: 'devstack',
      password: new Secret(awkwardPassword),
      database: 'devstack',
    };
  });
  afterAll(async () => engine[Symbol.asyncDispose]());

  it('reads what it wrote', async () => {
    await using connection = await connectMongo(options);
    const people = connection.db().collection('people');
    await people.insertOne({ _id: 1, name: 'Zoë' });
    await people.insertMany([
      { _id: 2, name: 'Ada' },
      { _id: 3, name: 'Bob' },
    ]);
    expect(await people.findOne({ _id: 1 })).toEqual({ _id: 1, name: 'Zoë' });
    expect(await people.findOne({ _id: 9 })).toBeUndefined();
    expect(await people.find({}, { sort: { name: 1 }, limit: 2, projection: { name: 1 } })).toEqual([
      { _id: 2, name: 'Ada' },
      { _id: 3, name: 'Bob' },
    ]);
    expect(await Array.fromAsync(people.stream({}, { sort: { _id: 1 } }))).toHaveLength(3);
    expect(await people.updateOne({ _id: 1 }, { $set: { name: 'Zoe' } })).toEqual({ matched: 1, modified: 1 });
    expect(await people.countDocuments()).toBe(3);
    expect(await connection.db().listCollections()).toEqual(['people']);
    expect(await people.deleteMany({})).toBe(3);
    expect(await connection.db('admin').command({ ping: 1 })).toMatchObject({ ok: 1 });
  });

  it('refuses a wrong password without repeating it', async () => {
    const error: unknown = await connectMongo({ ...options, password: new Secret('a wrong one') }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('a wrong one');
  });

  it('reads and writes documents as BSON, byte for byte', async () => {
    await using connection = await connectMongo(options);
    const raw = connection.db().collection('raw');
    // {"_id": 1 (int32), "b": 1 (int64), "1": 1.0 (double)}: an object of JavaScript would put "1" first, and make one number of all.
    const bytes = Buffer.from(
      '2600000010' + '5f69640001000000' + '126200' + '0100000000000000' + '013100' + '000000000000f03f' + '00',
      'hex',
    );
    bytes.writeInt32LE(bytes.length);
    await raw.insertRaw([bytes]);
    expect((await Array.fromAsync(raw.streamRaw({ batchSize: 1 }))).map((document) => Buffer.from(document))).toEqual([
      bytes,
    ]);
    await expect(raw.insertRaw([bytes])).rejects.toMatchObject({ code: 'DATABASE_ERROR' });
    expect(await raw.countDocuments()).toBe(1);
    await raw.deleteMany({});
  });

  it('asks in Extended JSON, where every number has its type', async () => {
    await using connection = await connectMongo(options);
    const answer = await connection.db().commandJson('{"buildInfo": {"$numberInt": "1"}}');
    expect(JSON.parse(answer)).toMatchObject({ ok: { $numberDouble: '1.0' } });
  });

  it("passes on the server's code, and masks a secret that the server repeats", async () => {
    await using connection = await connectMongo(options);
    const token = new Secret('noSuchSecretCommand');
    const error: unknown = await connection
      .db()
      .command({ [token.reveal()]: 1 }, [token])
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'DATABASE_ERROR', details: { serverCode: '59' } });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('noSuchSecretCommand');
  });

  it('ends everything when the signal is aborted, and closes twice', async () => {
    const stop = new AbortController();
    const connection = await connectMongo({ ...options, signal: stop.signal });
    stop.abort();
    await expect(connection.db().command({ ping: 1 })).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await connection.close();
    await connection.close();
  });
});
