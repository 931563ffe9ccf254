import type { Connection } from './connection.ts';
import { definite, labelFilters, statusCode, type ListContainersOptions } from './containers.ts';
import type { VolumeDetails } from './types.ts';

export interface EnsureVolumeOptions {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Makes a volume where there is none; one that exists stays as it is, labels included. Tells whether it was made. */
export async function ensureVolume(
  connection: Connection,
  options: EnsureVolumeOptions,
): Promise<{ readonly created: boolean }> {
  if ((await inspectVolume(connection, options.name)) !== undefined) return { created: false };
  await connection.ask('volume', options.name, () =>
    connection.docker.createVolume({ Name: options.name, Labels: { ...options.labels } }),
  );
  return { created: true };
}

/** Undefined where there is no such volume. */
export async function inspectVolume(connection: Connection, name: string): Promise<VolumeDetails | undefined> {
  return connection.ask('volume', name, async () => {
    try {
      return toDetails(await connection.docker.getVolume(name).inspect());
    } catch (error) {
      if (statusCode(error) === 404) return undefined;
      throw error;
    }
  });
}

/** Removes a volume with its data; one that is gone is fine. Throws DOCKER_CONFLICT while a container has it. */
export async function removeVolume(connection: Connection, name: string): Promise<void> {
  await connection.ask('volume', name, async () => {
    try {
      await connection.docker.getVolume(name).remove();
    } catch (error) {
      if (statusCode(error) !== 404) throw error;
    }
  });
}

export async function listVolumes(
  connection: Connection,
  options: Pick<ListContainersOptions, 'project' | 'labels'>,
): Promise<readonly VolumeDetails[]> {
  const filters = { label: labelFilters(options) };
  const answer = await connection.ask('engine', 'volumes', () => connection.docker.listVolumes({ filters }));
  // Go writes null for an empty list.
  return ((answer.Volumes as typeof answer.Volumes | null) ?? []).map(toDetails);
}

function toDetails(raw: {
  Name: string;
  Driver: string;
  Mountpoint: string;
  Labels: Record<string, string> | null;
}): VolumeDetails {
  const createdAt = (raw as { CreatedAt?: string }).CreatedAt;
  return {
    name: raw.Name,
    driver: raw.Driver,
    labels: definite(raw.Labels),
    mountpoint: raw.Mountpoint,
    ...(createdAt === undefined ? {} : { createdAt }),
  };
}
