import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { isDevstackError } from '@devstack-core/errors';
import type { Secret } from '@devstack-core/redaction';
import { setFiles } from './context.ts';
import { BackupStoreErrorCode, storeError } from './errors.ts';
import type { FileMeasure } from './manifest.ts';
import { isSetId } from './names.ts';
import type { OffsiteTarget } from './target.ts';

/** Where a bucket is, and how to log in there. */
export interface S3TargetOptions {
  readonly bucket: string;
  /** In front of every name, e.g. `laptop/devstack`. */
  readonly prefix?: string;
  readonly region: string;
  /** Of a server that is not Amazon's. */
  readonly endpoint?: string;
  /** `endpoint/bucket/…` instead of `bucket.endpoint/…`; true with an endpoint unless given. */
  readonly forcePathStyle?: boolean;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: Secret;
    readonly sessionToken?: Secret;
  };
  /** Of a part of an upload, 5 MiB at least; 16 MiB unless given. */
  readonly partBytes?: number;
}

/** A target in S3-compatible storage that can be closed. */
export type S3Target = OffsiteTarget & Disposable;

/**
 * S3-compatible storage. Files go in parts, each with a SHA-256 that the server compares; an object appears when all of it is there. Afterwards the
 * server's own SHA-256 is asked for; what it does not tell, as of an object in parts, is read back.
 */
export function s3Target(options: S3TargetOptions): S3Target {
  const { bucket, credentials } = options;
  const prefix = (options.prefix ?? '').replace(/^\/+|\/+$/g, '');
  const keyOf = (name: string): string => (prefix === '' ? name : `${prefix}/${name}`);
  const label = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
  let opened: Promise<Opened> | undefined;
  const open = (): Promise<Opened> => (opened ??= openClient(options, credentials));
  const asking = async <T>(doing: string, work: (opened: Opened) => Promise<T>): Promise<T> => {
    try {
      return await work(await open());
    } catch (error) {
      throw isDevstackError(error) ? error : failed(label, doing, error);
    }
  };
  return {
    label,
    measure: (name) =>
      asking(`look at ${name}`, async ({ client, sdk }) => {
        const found = await unlessMissing(
          client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: keyOf(name), ChecksumMode: 'ENABLED' })),
        );
        if (found === undefined) return undefined;
        return { bytes: found.ContentLength ?? 0, sha256: wholeSha256(found) };
      }),
    put: (name, path, measure, signal) =>
      asking(`store ${name}`, async (all) => {
        await abortLeftovers(all, bucket, keyOf(name));
        await upload(all, { bucket, key: keyOf(name), path, measure, partBytes: options.partBytes, signal });
      }),
    async *get(name, signal) {
      const body = await asking(`fetch ${name}`, async ({ client, sdk }) => {
        const found = await unlessMissing(
          client.send(
            new sdk.GetObjectCommand({ Bucket: bucket, Key: keyOf(name) }),
            signal === undefined ? {} : { abortSignal: signal },
          ),
        );
        if (found?.Body === undefined) throw missing(label, name);
        return found.Body as Readable;
      });
      try {
        yield* body as AsyncIterable<Uint8Array>;
      } catch (error) {
        throw signal?.aborted === true ? error : failed(label, `fetch ${name}`, error);
      } finally {
        body.destroy();
      }
    },
    sets: () =>
      asking('list the sets', async ({ client, sdk }) => {
        const start = prefix === '' ? '' : `${prefix}/`;
        const found: string[] = [];
        for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: start }))
          for (const { Key = '' } of page.Contents ?? []) {
            const [id = '', file, ...deeper] = Key.slice(start.length).split('/');
            if (isSetId(id) && file === setFiles.manifest && deeper.length === 0) found.push(id);
          }
        return found.toSorted();
      }),
    [Symbol.dispose]() {
      void opened?.then(({ client }) => {
        client.destroy();
      });
    },
  };
}

interface Opened {
  readonly client: S3Client;
  readonly sdk: typeof import('@aws-sdk/client-s3');
  readonly storage: typeof import('@aws-sdk/lib-storage');
}

// Loaded when it is used: it is large, and most stores have no bucket.
async function openClient(
  { region, endpoint, forcePathStyle }: S3TargetOptions,
  { accessKeyId, secretAccessKey, sessionToken }: S3TargetOptions['credentials'],
): Promise<Opened> {
  const [sdk, storage] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/lib-storage')]);
  const client = new sdk.S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: forcePathStyle ?? endpoint !== undefined,
    credentials: {
      accessKeyId,
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
    },
    // SHA-256 is asked for by name below; servers that are not Amazon's know little else.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 3,
  });
  return { client, sdk, storage };
}

interface UploadOptions {
  readonly bucket: string;
  readonly key: string;
  readonly path: string;
  readonly measure: FileMeasure;
  readonly partBytes: number | undefined;
  readonly signal: AbortSignal | undefined;
}

const defaultPartBytes = 16 * 1024 * 1024;

async function upload(
  { client, sdk, storage }: Opened,
  { bucket, key, path, measure, partBytes = defaultPartBytes, signal }: UploadOptions,
): Promise<void> {
  if (measure.bytes <= partBytes) {
    const single = {
      Bucket: bucket,
      Key: key,
      Body: createReadStream(path),
      ContentLength: measure.bytes,
      ChecksumSHA256: Buffer.from(measure.sha256, 'hex').toString('base64'),
    };
    await client.send(new sdk.PutObjectCommand(single), signal === undefined ? {} : { abortSignal: signal });
    return;
  }
  const transfer = new storage.Upload({
    client,
    params: { Bucket: bucket, Key: key, Body: createReadStream(path), ChecksumAlgorithm: 'SHA256' },
    // 10,000 parts at most.
    partSize: Math.max(partBytes, Math.ceil(measure.bytes / 9_000)),
    queueSize: 2,
  });
  const stop = (): void => void transfer.abort();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await transfer.done();
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

// Parts of an upload that was killed lie there unseen, and cost money.
async function abortLeftovers({ client, sdk }: Opened, bucket: string, key: string): Promise<void> {
  const found = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key }));
  for (const { Key, UploadId } of found.Uploads ?? [])
    if (Key === key && UploadId !== undefined)
      await client.send(new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId }));
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'NotFound' || name === 'NoSuchKey') return undefined;
    throw error;
  }
}

// Of an object in parts it is a checksum of checksums, which tells nothing of the file. Not every server says so, but the ETag of such an object
// ends with their number.
function wholeSha256({ ChecksumSHA256, ChecksumType, ETag }: HeadObjectCommandOutput): string | undefined {
  if (ChecksumSHA256 === undefined || ChecksumType === 'COMPOSITE' || /-\d+"?$/.test(ETag ?? '')) return undefined;
  const hex = Buffer.from(ChecksumSHA256, 'base64').toString('hex');
  return hex.length === 64 ? hex : undefined;
}

function missing(label: string, name: string): Error {
  return storeError(BackupStoreErrorCode.notFound, `${label} has no ${name}.`, 'List the sets that are there.', {
    target: label,
    name,
  });
}

// The SDK's errors hold no secret key, but requests; the cause is left out, its name is not.
function failed(label: string, doing: string, error: unknown): Error {
  const name = nameOf(error);
  return storeError(
    BackupStoreErrorCode.targetFailed,
    `${label} could not ${doing}: ${name}.`,
    hints[name] ??
      (isForbidden(error) ? notAllowed : undefined) ??
      'Check the endpoint, the bucket and the network, then run it again: it goes on where it stopped.',
    { target: label, error: name },
  );
}

// What the server calls it, or what the network does: ECONNREFUSED is more than "Error".
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

// An answer to HEAD has no body, so no name either.
function isForbidden(error: unknown): boolean {
  const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } };
  return $metadata?.httpStatusCode === 401 || $metadata?.httpStatusCode === 403;
}

const notAllowed =
  'Check the keys; the key needs to be allowed to list, read and write objects there, and to abort uploads.';

const hints: Readonly<Record<string, string>> = {
  NoSuchBucket: 'Make the bucket first.',
  InvalidAccessKeyId: 'Check the access key.',
  SignatureDoesNotMatch: 'Check the secret key, and the clock of this machine.',
  // What versitygw says of a key that it does not know.
  XAdminUserNotFound: 'Check the access key.',
  AccessDenied: notAllowed,
};
