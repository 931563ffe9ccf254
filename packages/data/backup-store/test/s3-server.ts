import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { connectDocker } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import type { S3TargetOptions } from '../src/index.ts';
import { testImage } from './images.ts';

/** A server with one empty bucket. */
export interface S3Server extends AsyncDisposable {
  readonly options: S3TargetOptions;
  /** For what no target does: to look into the bucket, and to damage it. */
  readonly client: S3Client;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Starts a real S3-compatible server on a free port of 127.0.0.1. */
export async function startS3Server(): Promise<S3Server> {
  const image = await testImage('s3-server');
  const docker = await connectDocker({ env: process.env });
  const [accessKeyId, secret] = [randomBytes(10).toString('hex'), randomBytes(20).toString('hex')];
  // Chosen here, as the engine would choose another one with every start.
  const port = await freePort();
  const container = await docker.ephemeralContainer({
    name: `devstack-test-s3-${randomBytes(4).toString('hex')}`,
    image,
    labels: { 'devstack.test': 'backup-store' },
    env: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secret },
    ports: [{ containerPort: 7070, hostAddress: '127.0.0.1', hostPort: port }],
    capDrop: ['ALL'],
  });
  const close = async (): Promise<void> => {
    await container.remove();
    await docker[Symbol.asyncDispose]();
  };
  try {
    await docker.startContainer(container.id);
    const options: S3TargetOptions = {
      bucket: 'backups',
      prefix: 'laptop/devstack',
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${String(port)}`,
      credentials: { accessKeyId, secretAccessKey: new Secret(secret) },
      // The least that S3 takes: a few megabytes make several parts.
      partBytes: 5 * 1024 * 1024,
    };
    const client = new S3Client({
      region: options.region,
      endpoint: options.endpoint ?? '',
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey: secret },
      // Of an object in parts the server tells a checksum that is none of the whole.
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    await untilAnswers(() => client.send(new CreateBucketCommand({ Bucket: options.bucket })));
    return {
      options,
      client,
      stop: () => docker.stopContainer(container.id, { timeoutSeconds: 1 }),
      start: () => docker.startContainer(container.id),
      async [Symbol.asyncDispose]() {
        client.destroy();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('A server that listens has a port.');
  return address.port;
}

async function untilAnswers(ask: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;)
    try {
      await ask();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error('The S3 server did not answer within 30 s.', { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
}
