import { type Cursor, isRecord } from './cursor.ts';
import { suggestion } from './did-you-mean.ts';
import type { CapabilityModel } from './model.ts';

/** What a service's `x-devstack` mapping says. */
export interface ServiceExtension {
  readonly title?: string;
  readonly role?: string;
  readonly uid?: number;
  readonly engine?: string;
  readonly protocol?: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly capabilities: readonly CapabilityModel[];
  readonly approle: boolean;
  readonly raw: Readonly<Record<string, unknown>>;
}

const fields = ['title', 'role', 'uid', 'engine', 'protocol', 'ports', 'capabilities', 'approle'];

/** Reads and checks `x-devstack`. Fields that start with `x-` are free for readers of their own. Throws COMPOSE_PARSE. */
export function readExtension(service: Cursor): ServiceExtension {
  const place = service.get('x-devstack');
  if (place === undefined) {
    checkCapabilities(service, []);
    return { ports: {}, capabilities: [], approle: false, raw: {} };
  }
  for (const [key, value] of place.entries()) {
    if (!fields.includes(key) && !key.startsWith('x-'))
      value.fail('is not a field of x-devstack', suggestion(key, fields));
  }
  const role = place.get('role');
  const uid = place.get('uid');
  const approle = place.get('approle')?.boolean() ?? role !== undefined;
  if (approle && role === undefined)
    place.fail('says approle: true but names no role', 'Add `role: <Vault role>` to x-devstack.');
  if (approle && uid === undefined)
    place.fail(
      'says that the service logs in with AppRole but names no uid, which its files must belong to',
      'Add `uid: <number>` to x-devstack.',
    );
  const capabilities = (place.get('capabilities')?.items() ?? []).map(readCapability);
  checkCapabilities(service, capabilities);
  return {
    ...optional('title', place.get('title')?.text()),
    ...optional('role', role === undefined ? undefined : identifier(role)),
    ...optional('uid', uid?.integer(0, 4_294_967_294)),
    ...optional('engine', place.get('engine')?.text()),
    ...optional('protocol', place.get('protocol')?.text()),
    ports: Object.fromEntries(
      (place.get('ports')?.entries() ?? []).map(([name, port]) => [name, port.integer(1, 65_535)]),
    ),
    capabilities,
    approle,
    raw: isRecord(place.value) ? place.value : {},
  };
}

function readCapability(place: Cursor): CapabilityModel {
  const name = place.get('name')?.text() ?? place.fail('needs a name');
  const reason = place.get('reason')?.text().trim() ?? '';
  if (reason === '')
    place.fail(`(${name}) needs a reason`, 'Say in one sentence what the service cannot do without it.');
  return { name, reason };
}

// A capability without a reason is how they pile up, so adding one silently is an error.
function checkCapabilities(service: Cursor, capabilities: readonly CapabilityModel[]): void {
  const explained = new Set(capabilities.map((capability) => plain(capability.name)));
  for (const place of service.get('cap_add')?.items() ?? []) {
    if (!explained.has(plain(place.text())))
      place.fail(
        `adds ${place.text()} without a reason`,
        'Add it to x-devstack.capabilities as {name, reason}, or do without it.',
      );
  }
}

function plain(capability: string): string {
  return capability.toUpperCase().replace(/^CAP_/, '');
}

function identifier(place: Cursor): string {
  const text = place.text();
  return /^[a-z0-9][a-z0-9_-]*$/.test(text)
    ? text
    : place.fail(`must be lower-case letters, digits, - and _, and is ${JSON.stringify(text)}`);
}

function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Partial<Record<K, V>>);
}
