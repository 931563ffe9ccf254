import { homedir } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import { isRecord, type Cursor } from './cursor.ts';
import { interpolate } from './interpolate.ts';
import type { DependencyModel, HealthcheckModel, LimitsModel, MountModel, ServiceModel } from './model.ts';
import { readPorts } from './read-ports.ts';
import { durationMs, sizeBytes } from './values.ts';
import { readExtension } from './x-devstack.ts';

/** Reads one service; relative paths start at `directory`. Throws COMPOSE_PARSE. */
export function readService(name: string, service: Cursor, directory: string): ServiceModel {
  if (!service.isMap()) service.fail('must be a mapping');
  const extension = readExtension(service);
  const build = readBuild(service, directory);
  const image = service.get('image');
  if (image === undefined && build === undefined) service.fail('needs an image or a build');
  const imageVariable = image === undefined ? undefined : firstVariable(image.rawText());
  const dependencies = readDependencies(service);
  const healthcheck = readHealthcheck(service);
  const { file, line } = service.position;
  const containerName = service.get('container_name')?.text();
  const user = service.get('user')?.text();
  return {
    name,
    ...(extension.title === undefined ? {} : { title: extension.title }),
    profiles: service.get('profiles')?.texts() ?? [],
    image: image?.text() ?? '',
    ...(imageVariable === undefined ? {} : { imageVariable }),
    ...(build === undefined ? {} : { build }),
    ...(containerName === undefined ? {} : { containerName }),
    ...(extension.role === undefined ? {} : { role: extension.role }),
    ...(extension.uid === undefined ? {} : { uid: extension.uid }),
    ...(extension.engine === undefined ? {} : { engine: extension.engine }),
    ...(extension.protocol === undefined ? {} : { protocol: extension.protocol }),
    ...(user === undefined ? {} : { user }),
    ports: readPorts(service, extension.ports),
    containerPorts: extension.ports,
    networks: readNetworksOf(service),
    dependsOn: dependencies.map((dependency) => dependency.service),
    dependencies,
    mounts: readMounts(service, directory),
    environment: service.get('environment')?.textMap() ?? {},
    labels: Object.fromEntries(
      Object.entries(service.get('labels')?.textMap() ?? {}).map(([key, value]) => [key, value ?? '']),
    ),
    capabilities: extension.capabilities,
    capabilitiesAdded: service.get('cap_add')?.texts() ?? [],
    capabilitiesDropped: service.get('cap_drop')?.texts() ?? [],
    securityOptions: service.get('security_opt')?.texts() ?? [],
    readOnlyRoot: service.get('read_only')?.boolean() ?? false,
    privileged: service.get('privileged')?.boolean() ?? false,
    restart: service.get('restart')?.text() ?? 'no',
    limits: readLimits(service),
    ...(healthcheck === undefined ? {} : { healthcheck }),
    authentication: extension.approle ? 'approle' : 'none',
    extension: extension.raw,
    source: { file, line },
  };
}

/** The first variable that a text uses, as it is written. */
export function firstVariable(rawText: string): string | undefined {
  let first: string | undefined;
  try {
    interpolate(rawText, {}, (use) => {
      // Nested defaults are reported before the variable around them, which is the one to set: the last report wins.
      first = use.name;
    });
  } catch {
    return /\$\{?([_a-z][_a-z0-9]*)/i.exec(rawText)?.[1];
  }
  return first;
}

function readBuild(service: Cursor, directory: string): ServiceModel['build'] {
  const build = service.get('build');
  if (build === undefined) return undefined;
  if (!build.isMap()) return { context: absolute(build.text(), directory), dockerfile: 'Dockerfile', args: {} };
  const target = build.get('target')?.text();
  const args = Object.entries(build.get('args')?.textMap() ?? {});
  return {
    context: absolute(build.get('context')?.text() ?? '.', directory),
    dockerfile: build.get('dockerfile')?.text() ?? 'Dockerfile',
    args: Object.fromEntries(args.map(([key, value]) => [key, value ?? ''])),
    ...(target === undefined ? {} : { target }),
  };
}

function readDependencies(service: Cursor): readonly DependencyModel[] {
  const dependsOn = service.get('depends_on');
  if (dependsOn === undefined) return [];
  if (Array.isArray(dependsOn.value))
    return dependsOn.texts().map((name) => ({ service: name, condition: 'service_started' }));
  return dependsOn.entries().map(([name, place]) => ({ service: name, condition: readCondition(place) }));
}

function readCondition(place: Cursor): DependencyModel['condition'] {
  const condition = place.get('condition')?.text() ?? 'service_started';
  if (
    condition === 'service_started' ||
    condition === 'service_healthy' ||
    condition === 'service_completed_successfully'
  )
    return condition;
  return place.fail(`has the unknown condition ${JSON.stringify(condition)}`);
}

function readNetworksOf(service: Cursor): ServiceModel['networks'] {
  const networks = service.get('networks');
  const isEmpty = networks === undefined || (isRecord(networks.value) && Object.keys(networks.value).length === 0);
  if (isEmpty) return service.get('network_mode') === undefined ? [{ name: 'default' }] : [];
  if (Array.isArray(networks.value)) return networks.texts().map((name) => ({ name }));
  return networks.entries().map(([name, place]) => {
    const address = place.get('ipv4_address')?.text();
    return address === undefined ? { name } : { name, address };
  });
}

function readMounts(service: Cursor, directory: string): readonly MountModel[] {
  const mounts = (service.get('volumes')?.items() ?? []).map((place) =>
    place.isMap() ? longMount(place, directory) : shortMount(place, directory),
  );
  const tmpfs = (service.get('tmpfs')?.texts() ?? []).map((text) => ({
    type: 'tmpfs' as const,
    source: '',
    target: text.split(':')[0] ?? '',
    readOnly: false,
  }));
  return [...mounts, ...tmpfs];
}

function longMount(place: Cursor, directory: string): MountModel {
  const type = place.get('type')?.text() ?? place.fail('needs a type');
  if (type !== 'volume' && type !== 'bind' && type !== 'tmpfs' && type !== 'npipe' && type !== 'cluster')
    return place.fail(`has the unknown type ${JSON.stringify(type)}`);
  const source = place.get('source')?.text() ?? '';
  return {
    type,
    source: type === 'bind' ? absolute(source, directory) : source,
    target: place.get('target')?.text() ?? place.fail('needs a target'),
    readOnly: place.get('read_only')?.boolean() ?? false,
  };
}

function shortMount(place: Cursor, directory: string): MountModel {
  const [source = '', target, mode = ''] = place.text().split(':');
  if (target === undefined) return { type: 'volume', source: '', target: source, readOnly: false };
  const isPath = /^[./~]/.test(source);
  return {
    type: isPath ? 'bind' : 'volume',
    source: isPath ? absolute(source, directory) : source,
    target,
    readOnly: mode.split(',').includes('ro'),
  };
}

function readLimits(service: Cursor): LimitsModel {
  const deploy = service.at('deploy', 'resources', 'limits');
  const cpus = deploy?.get('cpus') ?? service.get('cpus');
  const memory = deploy?.get('memory') ?? service.get('mem_limit');
  const pids = deploy?.get('pids') ?? service.get('pids_limit');
  return {
    ...(cpus === undefined ? {} : { cpus: cpus.number() }),
    ...(memory === undefined
      ? {}
      : { memoryBytes: sizeBytes(memory.text()) ?? memory.fail('must be a size such as 512m') }),
    ...(pids === undefined ? {} : { pids: pids.integer(-1, 4_194_304) }),
  };
}

// Docker's defaults: interval and timeout 30 s, three retries, no start period.
function readHealthcheck(service: Cursor): HealthcheckModel | undefined {
  const check = service.get('healthcheck');
  if (check === undefined || check.get('disable')?.boolean() === true) return undefined;
  const test = check.get('test')?.texts() ?? [];
  if (test[0] === 'NONE') return undefined;
  const time = (key: string, fallbackMs: number): number => {
    const place = check.get(key);
    return place === undefined
      ? fallbackMs
      : (durationMs(place.text()) ?? place.fail('must be a duration such as 10s'));
  };
  return {
    test: Array.isArray(check.get('test')?.value) ? test : ['CMD-SHELL', ...test],
    intervalMs: time('interval', 30_000),
    timeoutMs: time('timeout', 30_000),
    startPeriodMs: time('start_period', 0),
    retries: check.get('retries')?.integer(0, 10_000) ?? 3,
  };
}

function absolute(path: string, directory: string): string {
  if (path.startsWith('~')) return resolve(homedir(), path.slice(1).replace(/^\//, ''));
  return isAbsolute(path) || /^[a-z+]+:\/\//.test(path) ? path : resolve(directory, path);
}
