// Restores a set into a running PostgreSQL and kills itself with SIGKILL at one step, by its number, or the first of its name; prints each step before.
// Arguments: folder of the sets, its passphrase's file, id, container, the step, `torn` for the control.
import { writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { openBackupStore } from '@devstack-core/backup-store';
import { postgresAdapter } from '@devstack-core/database-backup';
import { connectDocker } from '@devstack-core/docker-engine';
import { Secret } from '@devstack-core/redaction';
import { restoreBackup } from '../src/restore.ts';
import { atPlace, type ServiceBackup } from '../src/service-backup.ts';
import { tickingDocker } from './killing-docker.ts';
import { placeIn, restoreTorn } from './postgres-place.ts';

const [directory = '', passphraseFile = '', set = '', container = '', killAt = '', mode = ''] = process.argv.slice(2);
let steps = 0;
const tick = (step: string): void => {
  writeSync(1, `${step}\n`);
  steps += 1;
  if (steps === Number(killAt) || step === killAt) process.kill(process.pid, 'SIGKILL');
};
const store = openBackupStore({
  directory,
  passphrase: new Secret((await readFile(passphraseFile, 'utf8')).trim()),
  tool: { name: 'test', version: '1' },
});
await using docker = await connectDocker({ env: process.env });
const place = placeIn(tickingDocker(docker, tick), container);
const whole = atPlace('postgres', postgresAdapter, place);
const service: ServiceBackup =
  mode === 'torn' ? { ...whole, restore: (part, content) => restoreTorn(place, part, content) } : whole;
await restoreBackup(store, {
  set,
  services: [service],
  onPart: (part) => {
    tick(`${part} is restored`);
    return Promise.resolve();
  },
});
writeSync(1, 'done\n');
