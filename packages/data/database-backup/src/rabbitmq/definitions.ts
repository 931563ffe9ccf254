import { createHash } from 'node:crypto';
import type { Fingerprint, FingerprintItem } from '../types.ts';
import { ownQueue, ownUsers } from './rabbitmq-place.ts';

/** One thing in a broker's definitions. */
export type Definition = Readonly<Record<string, unknown>>;
/** Sections such as `queues`, each a list. */
export type Definitions = Readonly<Record<string, readonly Definition[]>>;

/** Which fields name a thing, by section; the others are what it is like. */
const names: Readonly<Record<string, readonly string[]>> = {
  users: ['name'],
  vhosts: ['name'],
  permissions: ['vhost', 'user'],
  topic_permissions: ['vhost', 'user', 'exchange'],
  parameters: ['vhost', 'component', 'name'],
  global_parameters: ['name'],
  policies: ['vhost', 'name'],
  queues: ['vhost', 'name'],
  exchanges: ['vhost', 'name'],
  bindings: ['vhost', 'source', 'destination_type', 'destination', 'routing_key', 'arguments'],
};

/** What the API exports, without what belongs to this broker alone: its version, its cluster's id, users and a queue of the stack itself. */
export function normalizeDefinitions(exported: unknown): Definitions {
  const sections = Object.entries(exported as Readonly<Record<string, unknown>>)
    .filter((section): section is [string, readonly Definition[]] => Array.isArray(section[1]))
    .map(([section, list]) => [section, list.filter((one) => !isOwn(section, one)).toSorted(byText)] as const)
    .filter(([, list]) => list.length > 0);
  return Object.fromEntries(sections.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isOwn(section: string, one: Definition): boolean {
  const text = (key: string): string => fieldOf(one, key);
  if (section === 'global_parameters')
    return ['internal_cluster_id', 'cluster_name', 'cluster_tags'].includes(text('name'));
  if (section === 'users') return text('name').startsWith(ownUsers);
  if (section === 'permissions' || section === 'topic_permissions') return text('user').startsWith(ownUsers);
  if (section === 'queues') return text('name') === ownQueue;
  return section === 'bindings' && text('destination') === ownQueue;
}

/** One item for each thing. Checksums are of password hashes too: keep fingerprints where secrets are kept. */
export function definitionsFingerprint(definitions: Definitions): Fingerprint {
  const items = Object.entries(definitions).flatMap(([section, list]) =>
    list.map((one): FingerprintItem => ({
      kind: section.replaceAll('_', ' '),
      name: nameOf(section, one),
      count: 1,
      checksum: createHash('sha256').update(canonical(one)).digest('hex'),
    })),
  );
  return { schema: 'devstack/fingerprint/1', items };
}

/** Unique in its section. */
export function nameOf(section: string, one: Definition): string {
  return (names[section] ?? Object.keys(one).toSorted())
    .map((key) => (typeof one[key] === 'string' ? one[key] : canonical(one[key])))
    .join(' ');
}

/** A field that is text; empty where it is none. */
export function fieldOf(one: Definition, key: string): string {
  const value = one[key];
  return typeof value === 'string' ? value : '';
}

/** Whether both say the same. */
export function isSame(a: Definition | undefined, b: Definition | undefined): boolean {
  return canonical(a) === canonical(b);
}

function byText(a: Definition, b: Definition): number {
  const [first, second] = [canonical(a), canonical(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}

// JSON with sorted keys; tags of users have no order.
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return value === undefined ? 'null' : JSON.stringify(value);
  return `{${Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([key, inner]) =>
        `${JSON.stringify(key)}:${canonical(key === 'tags' && Array.isArray(inner) ? inner.toSorted() : inner)}`,
    )
    .join(',')}}`;
}
