import type { NotChecked } from '@devstack-core/audit-report';
import type { ContainerDetails, DockerEngine } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';

/** Which containers; those that do not run are among them. All of the engine where nothing is given. */
export interface ContainerSelection {
  /** A compose project. */
  readonly project?: string;
  readonly labels?: Readonly<Record<string, string | true>>;
  /** Ids or names, and nothing else. */
  readonly ids?: readonly string[];
}

/** Inspects what is selected, all at once. One that is removed meanwhile is left out of the first and said in the second. */
export async function selectContainers(
  engine: Pick<DockerEngine, 'listContainers' | 'inspectContainer'>,
  selection: ContainerSelection,
): Promise<{ readonly containers: readonly ContainerDetails[]; readonly notChecked: readonly NotChecked[] }> {
  const { ids, ...filters } = selection;
  const wanted =
    ids === undefined
      ? (await engine.listContainers({ all: true, ...filters })).map(({ id, name, service }) => ({
          id,
          subject: service ?? name,
        }))
      : ids.map((id) => ({ id, subject: id }));
  const looked = await Promise.all(
    wanted.map(async ({ id, subject }): Promise<ContainerDetails | NotChecked> => {
      try {
        return await engine.inspectContainer(id);
      } catch (error) {
        if (!isDevstackError(error, 'CONTAINER_NOT_FOUND')) throw error;
        return { subject, reason: 'there is no such container, or not any more' };
      }
    }),
  );
  return {
    containers: looked.filter((one) => 'id' in one),
    notChecked: looked.filter((one) => 'reason' in one),
  };
}
