import process from 'node:process';
import { exitCodeFor, isDevstackError } from '@devstack-core/errors';
import { startService, type Service } from './service.ts';
import { readSettings } from './settings.ts';

// The one process boundary: environment, signals, exit code.
try {
  const service = await startService({ settings: readSettings(process.env), output: process.stdout });
  // What asks a server to read its files again: here, for another certificate.
  process.on('SIGHUP', () => {
    service.renewCertificate();
  });
  const stopped = untilSignal(service);
  await Promise.race([service.loggedIn, stopped]);
  await stopped;
  process.exit(0);
} catch (error) {
  const { code, message, hint } = isDevstackError(error)
    ? error
    : { code: 'UNEXPECTED', message: String(error), hint: undefined };
  process.stdout.write(
    `${JSON.stringify({ level: 'fatal', time: new Date().toISOString(), service: 'reference-api', code, msg: message, hint })}\n`,
    () => {
      process.exit(exitCodeFor(error));
    },
  );
}

/** Resolves when the service is drained, after the first SIGTERM or SIGINT. The second one ends it at once. */
function untilSignal(service: Service): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      process.once('SIGTERM', () => process.exit(143));
      process.once('SIGINT', () => process.exit(130));
      service.drain().then(resolve, reject);
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
}
