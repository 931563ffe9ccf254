import { createHash } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { ComposeModel, ServiceModel } from '@devstack-core/compose-project';
import { DevstackError, isDevstackError } from '@devstack-core/errors';
import { StackErrorCode } from './errors.ts';
import type { OnEvent } from './events.ts';
import type { Stack } from './stack.ts';

/** Where a service's image comes from and whether this machine has it. */
export interface ImageState {
  readonly service: string;
  readonly image: string;
  readonly present: boolean;
  readonly id: string | null;
  readonly sizeBytes: number | null;
  /** `packages` (built from package mirrors), `registry` (built on an official base) or `override` (named by a variable). */
  readonly source: 'packages' | 'registry' | 'override';
  readonly engine: string | null;
  readonly engineVersion: string | null;
}

const baseImage = 'devstack/base:local';

/**
 * Names each built image by a hash of what goes into it, so a present tag is a current image and a changed source a new tag.
 * Returns `{DEVSTACK_POSTGRES_IMAGE: 'devstack/postgres:<hash>', …}` for every variable that the user did not set.
 */
export async function imageVariables(
  root: string,
  model: ComposeModel,
  user: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const variables: Record<string, string> = {};
  const base = await readFile(join(root, 'infrastructure/images/base/Dockerfile'), 'utf8').catch(() => '');
  const built = model.services.filter((service) => service.build !== undefined && service.imageVariable !== undefined);
  const contents = new Map<string, Promise<string>>();
  await Promise.all(
    built.map(async (service) => {
      const variable = service.imageVariable ?? '';
      if (user[variable] !== undefined || variables[variable] !== undefined) return;
      const repository = service.image.replace(/:[^/]*$/, '');
      variables[variable] = `${repository}:${(await inputsHash(root, service, base, contents)).slice(0, 12)}`;
    }),
  );
  return variables;
}

/** The state of the images of these services; one look per distinct image. */
export async function imageStates(stack: Stack, services: readonly ServiceModel[]): Promise<readonly ImageState[]> {
  const engine = await stack.engine();
  return Promise.all(
    services.map(async (service): Promise<ImageState> => {
      const details = await engine.inspectImage(service.image);
      const labels = details?.labels ?? {};
      const source = labels['io.devstack.source'];
      return {
        service: service.name,
        image: service.image,
        present: details !== undefined,
        id: details?.id ?? null,
        sizeBytes: details?.sizeBytes ?? null,
        source: isBuilt(service) ? (source === 'registry' ? 'registry' : 'packages') : 'override',
        engine: labels['io.devstack.engine'] ?? null,
        engineVersion: labels['io.devstack.engine.version'] ?? null,
      };
    }),
  );
}

/** Builds or pulls what is missing. Returns the services whose image was made. Throws IMAGE_MISSING, IMAGE_BUILD_FAILED, PULL_FAILED. */
export async function ensureImages(
  stack: Stack,
  services: readonly ServiceModel[],
  options: { onEvent: OnEvent; signal?: AbortSignal | undefined; rebuild?: boolean },
): Promise<readonly string[]> {
  const states = await imageStates(stack, services);
  const wanted = options.rebuild === true ? states : states.filter((state) => !state.present);
  const distinct = [...new Map(wanted.map((state) => [state.image, state])).values()];
  if (distinct.length === 0) return [];
  const engine = await stack.engine();
  if ((await engine.inspectImage(baseImage)) === undefined) {
    throw new DevstackError({
      code: StackErrorCode.imageMissing,
      message: `The base image ${baseImage} is missing.`,
      hint: 'Run ./scripts/setup: it makes the base image and everything else a fresh machine lacks.',
    });
  }
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const make = async (state: ImageState, index: number): Promise<void> => {
    const progress = (text: string): void => {
      options.onEvent({
        type: 'progress',
        step: 'images',
        text: `${state.service} (${String(index + 1)}/${String(distinct.length)}): ${text}`,
      });
    };
    const service = stack.model.service(state.service);
    progress(isBuilt(service) ? 'building' : `pulling ${state.image}`);
    if (isBuilt(service)) await build(stack, service, progress, signal);
    else
      await engine.pullImage(state.image, {
        signal,
        onProgress: (event) => {
          progress(event.status);
        },
      });
  };
  const queue = distinct.entries();
  let failure: unknown;
  const lane = async (): Promise<void> => {
    for (const [index, state] of queue) {
      if (failed.signal.aborted) return;
      await make(state, index).catch((error: unknown) => {
        // The first one says what is wrong; those that end because of it do not.
        failure ??= error;
        failed.abort();
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  if (failure !== undefined) throw failure as Error;
  return distinct.map((state) => state.service);
}

function isBuilt(service: ServiceModel): boolean {
  return service.build !== undefined && service.image.startsWith('devstack/');
}

// One compiles while another fetches. With more, they would only share the processors, and the memory of a small machine.
const atOnce = 2;

// A compiler says nothing for minutes; people should not have to wonder.
const heartbeatMs = 5_000;

async function build(
  stack: Stack,
  service: ServiceModel,
  progress: (text: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const started = performance.now();
  const heartbeat = setInterval(() => {
    progress(`still building, ${String(Math.round((performance.now() - started) / 1000))} s`);
  }, heartbeatMs);
  try {
    await stack.compose.build({
      services: [service.name],
      onLine: (line) => {
        heartbeat.refresh();
        progress(line.text);
      },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (cause) {
    if (isDevstackError(cause, 'INTERRUPTED')) throw cause;
    throw new DevstackError({
      code: StackErrorCode.imageBuildFailed,
      message: `The image of ${service.name} could not be built: ${isDevstackError(cause) ? cause.message : 'see the lines above'}`,
      hint: `See the whole build: docker compose --env-file ${stack.project.configDirectory}/compose.env -f infrastructure/compose/compose.yaml build --progress plain ${service.name}`,
      cause,
    });
  } finally {
    clearInterval(heartbeat);
  }
}

// `contents`: what several images copy (container-init) is read and hashed once.
async function inputsHash(
  root: string,
  service: ServiceModel,
  base: string,
  contents: Map<string, Promise<string>>,
): Promise<string> {
  const hash = createHash('sha256').update(base);
  const context = service.build?.context ?? root;
  const dockerfile = join(context, service.build?.dockerfile ?? 'Dockerfile');
  const text = await readFile(dockerfile, 'utf8').catch(() => '');
  hash.update(text).update(JSON.stringify(service.build?.args ?? {}));
  for (const source of copySources(text)) {
    const path = join(context, source);
    const content = contents.get(path) ?? contentHash(path);
    contents.set(path, content);
    hash.update(`\0${source}\0`).update(await content);
  }
  return hash.digest('hex');
}

async function contentHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await filesBelow(path)).toSorted()) {
    hash.update(`\0${relative(path, file)}\0`).update(await readFile(file));
  }
  return hash.digest('hex');
}

/** What a Dockerfile copies from its build context; `COPY --from` comes from other stages and is left out. */
export function copySources(dockerfile: string): readonly string[] {
  const lines = dockerfile.replaceAll(/\\\r?\n/g, ' ').split('\n');
  return lines.flatMap((line) => {
    const words = line.trim().split(/\s+/);
    if (!/^(?:COPY|ADD)$/i.test(words[0] ?? '') || words.some((word) => word.startsWith('--from='))) return [];
    return words
      .slice(1)
      .filter((word) => !word.startsWith('--'))
      .slice(0, -1);
  });
}

async function filesBelow(path: string): Promise<readonly string[]> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return [];
  if (!info.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
