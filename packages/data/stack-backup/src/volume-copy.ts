import type { DockerEngine } from '@devstack-core/docker-engine';
import { DevstackError } from '@devstack-core/errors';
import { StackBackupErrorCode } from './errors.ts';

/** The image whose `cp` is used: the base of all of ours. */
const copierImage = 'devstack/base:local';

/** Marks copies of volumes with the stack's id, so that nobody takes them for a stack's own. */
export { volumeCopyLabel as copyLabel } from '@devstack-core/stack-lifecycle';

/** A copy of a volume with owners, modes, links and holes as they are; a copy that is there already is made anew. Throws COPY_FAILED. */
export async function copyVolume(
  docker: DockerEngine,
  options: {
    readonly from: string;
    readonly to: string;
    readonly labels: Readonly<Record<string, string>>;
    /** `existing`: the volume stays, as a container holds it; what it has is removed first. A new one unless given. */
    readonly into?: 'existing';
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { from, to, labels, into, signal } = options;
  if (into === undefined) {
    await docker.removeVolume(to);
    await docker.ensureVolume({ name: to, labels });
  }
  const { exitCode, stderr } = await docker.runEphemeral({
    image: copierImage,
    argv: ['sh', '-c', 'find /to -mindepth 1 -delete && cp --archive --sparse=auto /from/. /to/'],
    binds: [`${from}:/from:ro,nocopy`, `${to}:/to:nocopy`],
    user: '0:0',
    capAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER'],
    ...(signal === undefined ? {} : { signal }),
  });
  if (exitCode === 0) return;
  if (into === undefined) await docker.removeVolume(to);
  throw new DevstackError({
    code: StackBackupErrorCode.copyFailed,
    message: `The volume ${from} could not be copied to ${to}: ${stderr.trim().slice(-500)}`,
    hint: 'Look at the free disk space: docker system df',
  });
}

/** Throws VOLUME_IN_USE where a container, running or not, has one of these volumes: it could be neither copied in peace nor replaced. */
export async function assertVolumesUnused(
  docker: Pick<DockerEngine, 'listContainers' | 'inspectContainer'>,
  volumes: readonly string[],
): Promise<void> {
  if (volumes.length === 0) return;
  for (const { id } of await docker.listContainers({ all: true })) {
    // One that is gone meanwhile uses nothing.
    const container = await docker.inspectContainer(id).catch(() => undefined);
    const used = container?.mounts.find(({ name }) => name !== undefined && volumes.includes(name))?.name;
    if (container === undefined || used === undefined) continue;
    throw new DevstackError({
      code: StackBackupErrorCode.volumeInUse,
      message: `The container ${container.name} uses the volume ${used} and is none of the stack's services.`,
      hint: `Remove it, then run the same command again: docker rm --force ${container.name}`,
      details: { container: container.name, volume: used },
    });
  }
}
