import { DevstackError, type DevstackErrorOptions } from '@devstack-core/errors';
import { ComposeProjectErrorCode } from './errors.ts';

interface Rule {
  readonly pattern: RegExp;
  readonly toError: (match: RegExpExecArray) => DevstackErrorOptions;
}

// First match wins. The texts are those of docker compose 2.x and of engines 20.10 and later.
const rules: readonly Rule[] = [
  {
    pattern:
      /Bind for (?:([\d.]+|\[[^\]]*\]):)?(\d+) failed: port is already allocated|listen (?:tcp|udp)[46]? (\[[^\]]*\]|[\d.]*):(\d+): bind: address already in use/,
    toError: ([, bindAddress, bindPort, listenAddress, listenPort]) => {
      const port = Number(bindPort ?? listenPort);
      const address = bindAddress ?? listenAddress ?? '';
      return {
        code: ComposeProjectErrorCode.portInUse,
        message: `Port ${String(port)} ${address === '' ? '' : `on ${address} `}is in use already.`,
        hint: `Find its holder with \`ss -ltnp 'sport = :${String(port)}'\` or \`docker ps --filter publish=${String(port)}\`, stop it, or choose another port by the service's variable.`,
        details: { port, address },
      };
    },
  },
  {
    pattern: /Pool overlaps with other one on this address space/,
    toError: () => ({
      code: ComposeProjectErrorCode.subnetInUse,
      message: "A network's subnet is in use by another Docker network.",
      hint: 'Choose another subnet prefix for this project, or remove the network (`docker network ls`, `docker network prune`).',
    }),
  },
  {
    pattern:
      /permission denied while trying to connect to the Docker daemon|dial unix [^:]+: connect: permission denied/,
    toError: () => ({
      code: ComposeProjectErrorCode.dockerPermissionDenied,
      message: 'This user may not use the Docker engine.',
      hint: 'Run `sudo usermod -aG docker "$USER"` and log in again, or run as root.',
    }),
  },
  {
    pattern:
      /Cannot connect to the Docker daemon|error during connect|docker daemon is not running|failed to connect to the docker API/i,
    toError: () => ({
      code: ComposeProjectErrorCode.dockerUnreachable,
      message: 'The Docker engine does not answer.',
      hint: 'Start it: `sudo systemctl start docker`, or `sudo dockerd` where there is no systemd, or Docker Desktop.',
    }),
  },
  {
    pattern: /'compose' is not a docker command|unknown (?:shorthand )?flag: .*-f|unknown command "compose"/,
    toError: () => ({
      code: ComposeProjectErrorCode.composeMissing,
      message: 'This docker client has no compose plugin.',
      hint: 'Install Docker Compose v2 (Debian: docker-compose-plugin or docker-compose from trixie).',
    }),
  },
  {
    pattern:
      /dependency failed to start: container (\S+) (is unhealthy|exited \(\d+\)|has no healthcheck configured)|container (\S+) (is unhealthy|exited \(\d+\))/,
    toError: ([, dependency, dependencyState, container, state]) => {
      const name = dependency ?? container ?? '';
      return {
        code: ComposeProjectErrorCode.serviceUnhealthy,
        message: `Container ${name} ${dependencyState ?? state ?? 'failed'}.`,
        hint: `Read \`docker logs ${name}\`.`,
        details: { container: name },
      };
    },
  },
  {
    pattern:
      /No such image: (\S+)|pull access denied for (\S+?),|manifest for (\S+) not found|manifest unknown|failed to resolve reference "?([^\s"]+)/,
    toError: (match) => {
      const image = match.slice(1).find((part) => typeof part === 'string') ?? 'an image';
      return {
        code: ComposeProjectErrorCode.imageNotFound,
        message: `The image ${image} is neither here nor to be had.`,
        hint: "Build the images first, or name one that exists by the service's image variable.",
        details: { image },
      };
    },
  },
  {
    pattern: /no such service: (\S+)/,
    toError: ([, service = '']) => ({
      code: ComposeProjectErrorCode.unknownService,
      message: `There is no service ${JSON.stringify(service)}.`,
      hint: 'See `docker compose config --services`.',
      details: { service, usage: true },
    }),
  },
  {
    pattern:
      /^(?:validating |yaml: |parsing |invalid interpolation format|error while interpolating|service "[^"]*" (?:refers|depends)|.*(?:mapping values are not allowed|did not find expected)).*$/m,
    toError: ([line]) => ({
      code: ComposeProjectErrorCode.composeParse,
      message: `docker compose refuses the files: ${line}`,
      hint: 'Correct the compose file.',
    }),
  },
];

/** What a failed `docker compose` means, judged by its (masked) stderr. */
export function composeFailure(command: string, exitCode: number, stderr: string): DevstackError {
  for (const rule of rules) {
    const match = rule.pattern.exec(stderr);
    if (match !== null) return new DevstackError(withDetails(rule.toError(match), command, exitCode));
  }
  const said = lastLines(stderr);
  return new DevstackError(
    withDetails(
      {
        code: ComposeProjectErrorCode.composeFailed,
        message: `docker compose ${command} exited with ${String(exitCode)}${said === '' ? ' and said nothing' : `: ${said}`}`,
        hint: 'The last lines of its output are above; run the same `docker compose` command by hand to see all of it.',
      },
      command,
      exitCode,
    ),
  );
}

function withDetails(options: DevstackErrorOptions, command: string, exitCode: number): DevstackErrorOptions {
  return { ...options, details: { ...options.details, command, exitCode } };
}

function lastLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-5)
    .join('\n');
}
