import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurable } from '@devstack-core/durable-files';
import type { SecretVersion, ServiceInitContext } from './service-init.ts';

const fileName = '.devstack-applied.json';

/** Which versions of the service's secrets the data was last brought in line with. */
export interface AppliedVersions {
  readonly engine: string;
  readonly secrets: SecretVersion;
  readonly clients: SecretVersion;
}

/** What was recorded in this data directory; undefined when nothing was, or when the record cannot be read. */
export async function readAppliedVersions(directory: string): Promise<AppliedVersions | undefined> {
  let text: string;
  try {
    text = await readFile(join(directory, fileName), 'utf8');
  } catch {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    return isAppliedVersions(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Records, durably, that the data agrees with these versions. It holds version numbers and times, nothing derived from a secret. */
export async function writeAppliedVersions(
  directory: string,
  engine: string,
  versions: ServiceInitContext['versions'],
): Promise<void> {
  await writeFileDurable(join(directory, fileName), `${JSON.stringify({ engine, ...versions })}\n`, { mode: 0o600 });
}

/** True when this engine brought the data in line with these versions already: nothing is to be applied. */
export function isApplied(
  applied: AppliedVersions | undefined,
  engine: string,
  versions: ServiceInitContext['versions'],
): boolean {
  if (applied?.engine !== engine) return false;
  return same(applied.secrets, versions.secrets) && same(applied.clients, versions.clients);
}

function same(left: SecretVersion, right: SecretVersion): boolean {
  return left.version === right.version && left.createdTime === right.createdTime;
}

function isAppliedVersions(value: unknown): value is AppliedVersions {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return typeof record['engine'] === 'string' && isVersion(record['secrets']) && isVersion(record['clients']);
}

function isVersion(value: unknown): value is SecretVersion {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  return typeof record['version'] === 'number' && typeof record['createdTime'] === 'string';
}
