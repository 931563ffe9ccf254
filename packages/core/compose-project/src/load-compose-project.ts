import { dirname, resolve } from 'node:path';
import { DevstackError } from '@devstack-core/errors';
import { readWithIncludes, type ComposeDocument } from './compose-document.ts';
import { Cursor, isRecord, parseError, type Locate, type PathStep, type Position } from './cursor.ts';
import { suggestion } from './did-you-mean.ts';
import { ComposeProjectErrorCode } from './errors.ts';
import { mergeCompose } from './merge.ts';
import type { ComposeModel, NetworkModel, ServiceModel, VariableModel } from './model.ts';
import { readService } from './read-service.ts';
import { without } from './tags.ts';

/** What to read, and the values of its variables. */
export interface LoadComposeProjectOptions {
  /** Later files are laid over earlier ones, as with several `-f`. */
  readonly files: readonly string[];
  /** Every variable that the files may use; nothing is read from the process's own environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Wins over `COMPOSE_PROJECT_NAME` in `env` and over the files' `name`. */
  readonly projectName?: string;
}

interface Entry {
  value: unknown;
  raw: unknown;
  readonly documents: ComposeDocument[];
}

type Section = 'services' | 'networks' | 'volumes';

/**
 * Reads compose files with their includes as data. It checks what it reads (shape, ports, networks and dependencies that exist, `x-devstack`)
 * and leaves the rest to `docker compose config`. Throws COMPOSE_PARSE with file, line and column.
 */
export async function loadComposeProject(options: LoadComposeProjectOptions): Promise<ComposeModel> {
  const groups: (readonly ComposeDocument[])[] = [];
  for (const file of options.files) groups.push(await readWithIncludes(resolve(file), options.env));
  const documents = groups.flat();
  const first = documents[0];
  if (first === undefined) throw noFiles();
  const services = collect(groups, 'services');
  const name = projectName(options, documents);
  const volumes = collect(groups, 'volumes');
  const models = [...services].map(([key, entry]) =>
    readService(key, cursorOf('services', key, entry), dirname(entry.documents[0]?.file ?? first.file)),
  );
  const networks = readNetworks(collect(groups, 'networks'), models, name);
  checkReferences(models, services, networks, volumes);
  return toModel({ name, models, networks, volumes, documents });
}

function toModel(parts: {
  name: string;
  models: readonly ServiceModel[];
  networks: readonly NetworkModel[];
  volumes: ReadonlyMap<string, Entry>;
  documents: readonly ComposeDocument[];
}): ComposeModel {
  const { name, models, networks, volumes, documents } = parts;
  const profiles = [...new Set(models.flatMap((service) => service.profiles))];
  return {
    files: [...new Set(documents.map((document) => document.file))],
    name,
    services: models,
    networks,
    volumes: [...volumes.keys()],
    profiles,
    variables: allVariables(documents),
    service: (wanted) => models.find((service) => service.name === wanted) ?? unknownService(wanted, models),
    servicesOf: (profile) => {
      if (!profiles.includes(profile)) throw unknownProfile(profile, profiles);
      return models.filter((service) => service.profiles.length === 0 || service.profiles.includes(profile));
    },
    volumeName: (key) => {
      const entry = volumes.get(key);
      const own = isRecord(entry?.value) ? entry.value['name'] : undefined;
      return typeof own === 'string' ? own : `${name}_${key}`;
    },
    locate: (path) => {
      const { file, line } = locateIn(documents)(path);
      return { file, line };
    },
  };
}

// Inside one -f file, includes are imported: the same resource may be declared twice only if it is the same (as compose does).
// Between -f files, later ones are laid over earlier ones, after what they mark `!reset` or `!override` was taken out of those.
function collect(groups: readonly (readonly ComposeDocument[])[], section: Section): ReadonlyMap<string, Entry> {
  const all = new Map<string, Entry>();
  for (const group of groups) {
    for (const path of group.at(-1)?.cleared ?? []) if (path[0] === section) clear(all, path.slice(1));
    for (const [key, entry] of imported(group, section)) {
      const known = all.get(key);
      if (known === undefined) all.set(key, entry);
      else {
        known.value = mergeCompose(known.value, entry.value);
        known.raw = mergeCompose(known.raw, entry.raw);
        known.documents.push(...entry.documents);
      }
    }
  }
  return all;
}

function clear(entries: Map<string, Entry>, [key, ...path]: readonly PathStep[]): void {
  const entry = entries.get(String(key));
  if (key === undefined) entries.clear();
  else if (path.length === 0) entries.delete(String(key));
  else if (entry !== undefined) {
    entry.value = without(entry.value, path);
    entry.raw = without(entry.raw, path);
  }
}

function imported(group: readonly ComposeDocument[], section: Section): ReadonlyMap<string, Entry> {
  const all = new Map<string, Entry>();
  for (const document of group) {
    const place = new Cursor(document.value, document.raw, [], document.locate).get(section);
    for (const [key, child] of place?.entries() ?? []) {
      const known = all.get(key);
      if (known === undefined) all.set(key, { value: child.value, raw: child.raw, documents: [document] });
      else if (JSON.stringify(known.value) !== JSON.stringify(child.value)) {
        child.fail(`is declared in ${known.documents[0]?.file ?? 'another file'} too, and differently`);
      }
    }
  }
  return all;
}

function cursorOf(section: Section, key: string, entry: Entry): Cursor {
  return new Cursor(entry.value, entry.raw, [section, key], locateIn(entry.documents));
}

// The last file that writes the whole path holds the value that counts; otherwise the nearest parent in the first file.
function locateIn(documents: readonly ComposeDocument[]): Locate {
  return (path: readonly PathStep[]): Position => {
    const holder = documents.findLast((document) => hasPath(document.value, path)) ?? documents[0];
    return holder?.locate(path) ?? { file: '', line: 1, column: 1 };
  };
}

function hasPath(value: unknown, path: readonly PathStep[]): boolean {
  let place = value;
  for (const step of path) {
    if (Array.isArray(place) && typeof step === 'number') place = place[step];
    else if (isRecord(place) && Object.hasOwn(place, step)) place = place[step];
    else return false;
  }
  return true;
}

function readNetworks(
  declared: ReadonlyMap<string, Entry>,
  models: readonly ServiceModel[],
  project: string,
): readonly NetworkModel[] {
  const networks = [...declared].map(([key, entry]) => readNetwork(key, cursorOf('networks', key, entry), project));
  const user = models.find((service) => service.networks.some((leg) => leg.name === 'default'));
  if (user === undefined || declared.has('default')) return networks;
  const implicit = {
    name: 'default',
    engineName: `${project}_default`,
    driver: 'bridge',
    internal: false,
    external: false,
    egress: true,
  };
  return [...networks, { ...implicit, driverOptions: {}, source: { file: user.source.file, line: 1 } }];
}

const masquerade = 'com.docker.network.bridge.enable_ip_masquerade';

function readNetwork(key: string, place: Cursor, project: string): NetworkModel {
  const config = place.at('ipam', 'config')?.items()[0];
  const subnet = config?.get('subnet')?.text();
  const gateway = config?.get('gateway')?.text();
  const driverOptions = Object.fromEntries(
    Object.entries(place.get('driver_opts')?.textMap() ?? {}).map(([name, value]) => [name, value ?? '']),
  );
  const internal = place.get('internal')?.boolean() ?? false;
  const { file, line } = place.position;
  return {
    name: key,
    engineName: place.get('name')?.text() ?? `${project}_${key}`,
    driver: place.get('driver')?.text() ?? 'bridge',
    ...(subnet === undefined ? {} : { subnet }),
    ...(gateway === undefined ? {} : { gateway }),
    internal,
    external: place.get('external')?.boolean() ?? false,
    egress: !internal && driverOptions[masquerade] !== 'false',
    driverOptions,
    source: { file, line },
  };
}

function checkReferences(
  models: readonly ServiceModel[],
  services: ReadonlyMap<string, Entry>,
  networks: readonly NetworkModel[],
  volumes: ReadonlyMap<string, Entry>,
): void {
  const serviceNames = models.map((service) => service.name);
  const networkNames = networks.map((network) => network.name);
  for (const model of models) {
    const entry = services.get(model.name);
    if (entry === undefined) continue;
    const locate = locateIn(entry.documents);
    const refuse = (field: string, message: string, wanted: string, known: readonly string[]): never => {
      throw parseError(
        locate(['services', model.name, field]),
        `services.${model.name}.${field} ${message}`,
        suggestion(wanted, known),
      );
    };
    for (const name of model.dependsOn)
      if (!serviceNames.includes(name)) refuse('depends_on', `names ${name}, which is no service`, name, serviceNames);
    for (const { name } of model.networks)
      if (!networkNames.includes(name)) refuse('networks', `names ${name}, which is no network`, name, networkNames);
    for (const mount of model.mounts) {
      const isMissing = mount.type === 'volume' && mount.source !== '' && !volumes.has(mount.source);
      if (isMissing) refuse('volumes', `names ${mount.source}, which is no volume`, mount.source, [...volumes.keys()]);
    }
  }
}

function projectName(options: LoadComposeProjectOptions, documents: readonly ComposeDocument[]): string {
  const own = documents.toReversed().find((document) => typeof document.value['name'] === 'string');
  const last = documents.at(-1);
  const folder =
    dirname(last?.file ?? '')
      .split('/')
      .at(-1) ?? '';
  const fallback = folder
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
  const named = own?.value['name'];
  const fromEnv = options.env['COMPOSE_PROJECT_NAME'] ?? '';
  const name = options.projectName ?? (fromEnv === '' ? (typeof named === 'string' ? named : fallback) : fromEnv);
  if (/^[a-z0-9][a-z0-9_-]*$/.test(name)) return name;
  const position =
    own === undefined || last === undefined ? { file: last?.file ?? '', line: 1, column: 1 } : own.locate(['name']);
  throw parseError(
    position,
    `the project name ${JSON.stringify(name)} cannot name containers`,
    'Use lower-case letters, digits, - and _, starting with a letter or digit.',
  );
}

function allVariables(documents: readonly ComposeDocument[]): readonly VariableModel[] {
  const all = new Map<string, VariableModel>();
  for (const variable of documents.flatMap((document) => document.variables)) {
    const known = all.get(variable.name);
    if (known === undefined) all.set(variable.name, variable);
    else all.set(variable.name, { ...variable, ...known, required: known.required || variable.required });
  }
  return [...all.values()];
}

function unknownService(wanted: string, models: readonly ServiceModel[]): never {
  const names = models.map((service) => service.name);
  throw new DevstackError({
    code: ComposeProjectErrorCode.unknownService,
    message: `There is no service ${JSON.stringify(wanted)}.`,
    hint: suggestion(wanted, names),
    details: { service: wanted, services: names, usage: true },
  });
}

function unknownProfile(wanted: string, profiles: readonly string[]): DevstackError {
  return new DevstackError({
    code: ComposeProjectErrorCode.unknownProfile,
    message: `There is no profile ${JSON.stringify(wanted)}.`,
    hint: suggestion(wanted, profiles),
    details: { profile: wanted, profiles, usage: true },
  });
}

function noFiles(): DevstackError {
  return new DevstackError({
    code: ComposeProjectErrorCode.composeParse,
    message: 'No compose file was named.',
    hint: 'Name at least one in `files`.',
  });
}
