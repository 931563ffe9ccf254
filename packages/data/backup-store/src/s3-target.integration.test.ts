import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { Secret } from '@devstack-core/redaction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { offsiteSuite } from '../test/offsite-suite.ts';
import { startS3Server, type S3Server } from '../test/s3-server.ts';
import { makeSet, random, storeFolder } from '../test/store-folder.ts';
import { s3Target, type S3Target, type S3TargetOptions } from './index.ts';

let server: S3Server;
const opened: S3Target[] = [];
beforeAll(async () => {
  server = await startS3Server();
}, 960_000);
afterAll(async () => {
  for (const target of opened) target[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

let prefixes = 0;
const options = (): S3TargetOptions => ({ ...server.options, prefix: `/laptop/${String((prefixes += 1))}/` });
function open(more: Partial<S3TargetOptions> = {}): S3Target {
  const target = s3Target({ ...options(), ...more });
  opened.push(target);
  return target;
}

offsiteSuite(
  'S3-compatible storage',
  () => {
    const target = open();
    const { bucket } = server.options;
    const prefix = target.label.replace(`s3://${bucket}/`, '');
    return Promise.resolve({
      target,
      names: async () => {
        const { Contents = [] } = await server.client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/` }),
        );
        return Contents.map(({ Key = '' }) => Key.slice(prefix.length + 1)).filter((key) => !key.endsWith('/'));
      },
      read: async (name) => {
        const { Body } = await server.client.send(new GetObjectCommand({ Bucket: bucket, Key: `${prefix}/${name}` }));
        return Buffer.from((await Body?.transformToByteArray()) ?? []);
      },
      write: async (name, content) => {
        await server.client.send(new PutObjectCommand({ Bucket: bucket, Key: `${prefix}/${name}`, Body: content }));
      },
      remove: async (name) => {
        await server.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${prefix}/${name}` }));
      },
    });
  },
  // Three parts.
  12_000_000,
);

describe('what goes wrong there', () => {
  it.each<[string, () => Partial<S3TargetOptions>, RegExp]>([
    ['a bucket that is not there', () => ({ bucket: 'no-such-bucket' }), /Make the bucket/],
    ['a wrong key id', () => ({ credentials: { ...server.options.credentials, accessKeyId: 'nobody' } }), /access key/],
    [
      'a wrong secret key',
      () => ({ credentials: { ...server.options.credentials, secretAccessKey: new Secret('not-the-secret-key') } }),
      /secret key/,
    ],
    ['no server', () => ({ endpoint: 'http://127.0.0.1:9' }), /endpoint/],
  ])('%s is told with what to do, and without the secret', { timeout: 120_000 }, async (_, more, hint) => {
    const target = open(more());
    const error: unknown = await target.sets().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'BACKUP_TARGET_FAILED', hint: expect.stringMatching(hint) as string });
    expect(JSON.stringify(error)).not.toContain(server.options.credentials.secretAccessKey.reveal());
    expect((error as Error).cause).toBeUndefined();
  });

  it('a key that is not allowed to look is told, also where the answer has no words', async () => {
    const target = open({ credentials: { ...server.options.credentials, secretAccessKey: new Secret('wrong') } });
    await expect(target.measure('x')).rejects.toMatchObject({
      code: 'BACKUP_TARGET_FAILED',
      hint: expect.stringContaining('keys') as string,
    });
  });

  it('what an upload that was killed left there goes with the next one', { timeout: 120_000 }, async () => {
    await using here = await storeFolder();
    const { id } = await makeSet(here.store, { contents: { postgres: { app: random(100_000) } } });
    const target = open();
    const { bucket } = server.options;
    const key = `${target.label.replace(`s3://${bucket}/`, '')}/${id}/postgres.app.dump.zst.gpg`;
    const { UploadId } = await server.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
    const part = { Bucket: bucket, Key: key, UploadId, PartNumber: 1, Body: random(5 * 1024 * 1024) };
    await server.client.send(new UploadPartCommand(part));
    const uploads = async (): Promise<number> =>
      ((await server.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads ?? []).length;
    expect(await uploads()).toBe(1);
    await here.store.copySet(id, target);
    expect(await uploads()).toBe(0);
  });

  it(
    'a server that goes away in between is told, and the copy goes on when it is back',
    { timeout: 240_000 },
    async () => {
      await using here = await storeFolder();
      const { id } = await makeSet(here.store, { contents: { postgres: { app: random(6_000_000) } } });
      const target = open();
      let seen = 0;
      const stopping = here.reopen({
        onStep: async (step) => {
          if (step === 'copy:artifact' && (seen += 1) === 1) await server.stop();
        },
      });
      await expect(stopping.copySet(id, target)).rejects.toMatchObject({ code: 'BACKUP_TARGET_FAILED' });
      await server.start();
      await expect.poll(() => target.sets().catch(() => undefined), { timeout: 30_000 }).toEqual([]);
      await expect(here.store.copySet(id, target)).resolves.toMatchObject({ presentFiles: 1 });
      expect(await target.sets()).toEqual([id]);
    },
  );
});
