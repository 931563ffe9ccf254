import { run, which } from '@devstack-core/command-runner';
import { isProcessOf, type ContainerDetails, type DockerEngine } from '@devstack-core/docker-engine';
import { isDevstackError } from '@devstack-core/errors';
import { probeScript, type ProbeAnswer, type ProbeJob } from './probe-script.ts';

/** How the inside of a network namespace is reached. */
export type ProbeMethod = 'nsenter' | 'exec' | 'container';

/** What a probe needs. */
export interface ProbeSetting {
  readonly engine: Pick<DockerEngine, 'exec' | 'runEphemeral'>;
  readonly probe: 'auto' | ProbeMethod;
  /** An image with Node, for `container`. */
  readonly image?: string;
  readonly procRoot: string;
  readonly signal?: AbortSignal;
}

/** Runs a job in a container's network namespace, by the first method that works. `failed` says why none did. */
export async function probeFrom(
  container: ContainerDetails,
  job: ProbeJob,
  setting: ProbeSetting,
): Promise<{ readonly method: ProbeMethod; readonly answer: ProbeAnswer } | { readonly failed: string }> {
  const methods = setting.probe === 'auto' ? (['nsenter', 'exec', 'container'] as const) : [setting.probe];
  const reasons: string[] = [];
  for (const method of methods) {
    const tried = await ways[method](container, job, setting);
    if (typeof tried !== 'string') return { method, answer: tried };
    reasons.push(`${method}: ${tried}`);
  }
  return { failed: reasons.join('; ') };
}

type Way = (container: ContainerDetails, job: ProbeJob, setting: ProbeSetting) => Promise<ProbeAnswer | string>;

const ways: Readonly<Record<ProbeMethod, Way>> = { nsenter: byNsenter, exec: byExec, container: byContainer };

// Beyond the waiting of the sockets: a loaded machine starts a Node in seconds.
const spareMs = 20_000;

async function byNsenter(
  { id, state }: ContainerDetails,
  job: ProbeJob,
  setting: ProbeSetting,
): Promise<ProbeAnswer | string> {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!(await isProcessOf(id, state.pid, { procRoot: setting.procRoot })))
    return 'the container is not on this machine';
  const program = await which('nsenter');
  if (program === undefined) return 'there is no nsenter';
  const namespace = `--net=${setting.procRoot}/${String(state.pid)}/ns/net`;
  return attempt(job, async (input) =>
    run([program, namespace, process.execPath, '-e', probeScript], {
      ...limits(job, setting),
      stdin: input,
      check: false,
    }),
  );
}

async function byExec({ id }: ContainerDetails, job: ProbeJob, setting: ProbeSetting): Promise<ProbeAnswer | string> {
  return attempt(job, async (input) =>
    setting.engine.exec(id, ['node', '-e', probeScript], { ...limits(job, setting), stdin: input }),
  );
}

async function byContainer(
  { id }: ContainerDetails,
  job: ProbeJob,
  setting: ProbeSetting,
): Promise<ProbeAnswer | string> {
  const { image } = setting;
  if (image === undefined) return 'no image with Node was named';
  return attempt(job, async (input) =>
    setting.engine.runEphemeral({
      image,
      argv: ['node', '-e', probeScript],
      network: `container:${id}`,
      user: '65534:65534',
      readOnlyRoot: true,
      stdin: input,
      ...limits(job, setting),
    }),
  );
}

function limits(
  job: ProbeJob,
  { signal }: ProbeSetting,
): { readonly timeoutMs: number; readonly signal?: AbortSignal } {
  return { timeoutMs: job.timeoutMs + spareMs, ...(signal === undefined ? {} : { signal }) };
}

async function attempt(
  job: ProbeJob,
  work: (
    input: string,
  ) => Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }>,
): Promise<ProbeAnswer | string> {
  try {
    const { exitCode, stdout, stderr } = await work(JSON.stringify(job));
    if (exitCode !== 0) return lastLine(stderr + stdout) ?? `the probe ended with ${String(exitCode)}`;
    return isAnswer(JSON.parse(stdout), job) ?? 'the probe gave half an answer';
  } catch (error) {
    if (isDevstackError(error, 'INTERRUPTED') || isDevstackError(error, 'DOCKER_UNREACHABLE')) throw error;
    // Its message would show what was printed instead.
    if (error instanceof SyntaxError) return 'what the probe printed is no answer';
    return error instanceof Error ? error.message : 'the probe failed';
  }
}

// A program of the container may be anything: what it prints is believed where it has the form of an answer, and nothing else of it is.
function isAnswer(printed: unknown, job: ProbeJob): ProbeAnswer | undefined {
  const { targets, names } = (printed ?? {}) as { readonly targets?: unknown; readonly names?: unknown };
  const isText = (value: unknown): value is string => typeof value === 'string';
  const isName = (value: unknown): value is string | readonly string[] =>
    isText(value) || (Array.isArray(value) && value.every(isText));
  if (!Array.isArray(targets) || !Array.isArray(names)) return undefined;
  const isWhole = targets.length === job.targets.length && names.length === job.names.length;
  return isWhole && targets.every(isText) && names.every(isName) ? { targets, names } : undefined;
}

function lastLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '');
}
