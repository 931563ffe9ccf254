import { writeSync } from 'node:fs';
import { exitCodeFor, isDevstackError } from '@devstack-core/errors';
import { readServiceCredentials, serviceInitFor } from '@devstack-core/service-init';
import { become } from './become.ts';
import { ensureCertificate, tlsOf } from './certificate.ts';
import { readSettings } from './settings.ts';

// Never console.log: it would leave stdout non-blocking for the server, which then loses lines.
function say(line: string): void {
  writeSync(2, `container-init: ${line}\n`);
}

/** `container-init renew [--force]`, run beside the server: a report on stdout. */
async function renew(): Promise<void> {
  const { renewCertificate } = await import('./renew.ts');
  const force = process.argv.includes('--force');
  const report = await renewCertificate(readSettings(process.env), process.env, { force, progress: say });
  writeSync(1, `${JSON.stringify(report)}\n`);
  process.exit(0);
}

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const init = serviceInitFor(settings.engine);
  if (settings.method === 'token') {
    say(
      `WARNING: ${settings.service} uses a token minted from the root token (VAULT_USE_ROOT_TOKEN=true) instead of AppRole. Switch back as soon as AppRole works again.`,
    );
  }
  const tls = await tlsOf(settings, process.env);
  const credentials = await readServiceCredentials({
    address: settings.vaultAddress,
    directory: settings.approleDirectory,
    service: settings.service,
    role: settings.role,
    method: settings.method,
    deadlineMs: settings.deadlineMs,
    progress: say,
    withSession:
      tls === undefined
        ? undefined
        : async (client) => {
            await ensureCertificate(settings, (work) => work(client));
          },
  });
  const prepared = await init.prepare({
    ...settings,
    ...credentials,
    tls,
    settings: process.env,
    arguments: process.argv.slice(2),
    progress: say,
  });
  become(prepared, process.env);
}

// A warm-up of the image only wants the code.
if (process.argv[2] !== '--warm') {
  // PID 1 has no default signal actions: without these, stopping a container that waits for Vault would take the whole grace period.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.once(signal, () => process.exit(130));
  // A process beside the server is never process 1; arguments of process 1 are the server's own.
  const task = process.pid !== 1 && process.argv[2] === 'renew' ? renew : main;
  task().catch((error: unknown) => {
    if (isDevstackError(error)) {
      say(`${error.code}: ${error.message}`);
      if (error.hint !== undefined) say(`next: ${error.hint}`);
    } else {
      say(`UNEXPECTED: ${describe(error)}`);
    }
    process.exit(exitCodeFor(error));
  });
}

// Foreign text may hold anything: its kind and its place are all that is safe to show.
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'something that is not an error was thrown';
  const { code } = error as NodeJS.ErrnoException;
  const place = (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 3)
    .join(' ');
  return `${error.name}${code === undefined ? '' : ` (${code})`}${place}`;
}
