import { directoryTarget, s3Target, type OffsiteTarget } from '@devstack-core/backup-store';
import { DevstackError } from '@devstack-core/errors';
import { Secret } from '@devstack-core/redaction';
import { resolve } from 'node:path';
import type { Context } from '../context.ts';

/** Where copies of sets go: a folder, or `s3://bucket/prefix` with the variables that the AWS tools read. Throws USAGE. */
export function targetOf(text: string, context: Context): OffsiteTarget {
  if (!text.startsWith('s3://')) return directoryTarget({ path: resolve(text) });
  const [bucket = '', ...prefix] = text.slice('s3://'.length).split('/');
  const { env } = context;
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (bucket === '' || accessKeyId === undefined || secretAccessKey === undefined)
    throw new DevstackError({
      code: 'USAGE',
      message: bucket === '' ? `${text} names no bucket.` : 'There is no login for S3.',
      hint: 'Write s3://bucket/prefix, and set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, where it is not Amazon, AWS_ENDPOINT_URL.',
    });
  const sessionToken = env['AWS_SESSION_TOKEN'];
  const endpoint = env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'];
  return s3Target({
    bucket,
    prefix: prefix.join('/'),
    region: env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
    credentials: {
      accessKeyId,
      secretAccessKey: new Secret(secretAccessKey),
      ...(sessionToken === undefined ? {} : { sessionToken: new Secret(sessionToken) }),
    },
    ...(endpoint === undefined ? {} : { endpoint }),
  });
}
