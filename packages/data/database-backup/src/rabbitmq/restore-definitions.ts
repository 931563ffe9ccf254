import { fieldOf, isSame, nameOf, normalizeDefinitions, type Definition, type Definitions } from './definitions.ts';
import type { ManagementApi } from './management-api.ts';

/** Where a thing is deleted; in an order in which nothing is in use any more. */
const deletions: readonly (readonly [section: string, path: (one: Definition) => readonly string[] | undefined])[] = [
  ['queues', (one) => ['queues', fieldOf(one, 'vhost'), fieldOf(one, 'name')]],
  ['exchanges', (one) => ['exchanges', fieldOf(one, 'vhost'), fieldOf(one, 'name')]],
  ['policies', (one) => ['policies', fieldOf(one, 'vhost'), fieldOf(one, 'name')]],
  ['parameters', (one) => ['parameters', fieldOf(one, 'component'), fieldOf(one, 'vhost'), fieldOf(one, 'name')]],
  ['global_parameters', (one) => ['global-parameters', fieldOf(one, 'name')]],
  ['topic_permissions', (one) => ['topic-permissions', fieldOf(one, 'vhost'), fieldOf(one, 'user')]],
  ['permissions', (one) => ['permissions', fieldOf(one, 'vhost'), fieldOf(one, 'user')]],
  ['users', (one) => ['users', fieldOf(one, 'name')]],
  ['vhosts', (one) => ['vhosts', fieldOf(one, 'name')]],
];

export interface RestoreDefinitionsOptions {
  /** Who restores: is never deleted. */
  readonly username: string;
  /** Delete what is not wanted, or is there in another form. */
  readonly replace: boolean;
}

/** Makes a broker have these definitions. Without `replace` it may have more, and one that differs is an `Error` of the broker. */
export async function restoreDefinitions(
  api: ManagementApi,
  wanted: Definitions,
  { username, replace }: RestoreDefinitionsOptions,
): Promise<void> {
  if (replace) {
    const current = normalizeDefinitions(await api.ask('GET', ['definitions']));
    await deleteBindings(api, current, wanted);
    for (const [section, pathOf] of deletions) {
      const kept = new Map((wanted[section] ?? []).map((one) => [nameOf(section, one), one]));
      for (const one of current[section] ?? []) {
        const other = kept.get(nameOf(section, one));
        // Users and virtual hosts are changed by the import; deleting one would take its queues along.
        const isKept = section === 'users' || section === 'vhosts' ? other !== undefined : isSame(one, other);
        const isMine =
          (section === 'users' && one['name'] === username) || (section === 'permissions' && one['user'] === username);
        const path = pathOf(one);
        if (!isKept && !isMine && path !== undefined) await deleteUnlessGone(api, path);
      }
    }
  }
  await api.ask('POST', ['definitions'], wanted);
}

// The API names a binding by a key of its own.
async function deleteBindings(api: ManagementApi, current: Definitions, wanted: Definitions): Promise<void> {
  const kept = new Set((wanted['bindings'] ?? []).map((one) => nameOf('bindings', one)));
  const extra = (current['bindings'] ?? []).filter((one) => !kept.has(nameOf('bindings', one)));
  for (const vhost of new Set(extra.map((one) => fieldOf(one, 'vhost')))) {
    const names = new Set(extra.map((one) => nameOf('bindings', one)));
    const listed = (await api.ask('GET', ['bindings', vhost])) as readonly Definition[];
    for (const one of listed) if (names.has(nameOf('bindings', one))) await deleteBinding(api, one);
  }
}

/** Takes a binding, as the API lists it, away. */
export async function deleteBinding(api: ManagementApi, one: Definition): Promise<void> {
  const type = fieldOf(one, 'destination_type') === 'queue' ? 'q' : 'e';
  await deleteUnlessGone(api, [
    'bindings',
    fieldOf(one, 'vhost'),
    'e',
    fieldOf(one, 'source'),
    type,
    fieldOf(one, 'destination'),
    fieldOf(one, 'properties_key'),
  ]);
}

// What belonged to something else goes with it.
async function deleteUnlessGone(api: ManagementApi, path: readonly string[]): Promise<void> {
  try {
    await api.ask('DELETE', path);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes(' 404 '))) throw error;
  }
}
